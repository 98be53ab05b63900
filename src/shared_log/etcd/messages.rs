//! The messages of etcd's gRPC interface that are used, with the field numbers of its `rpc.proto` and `kv.proto`. Fields that are left
//! out here are skipped when an answer is decoded, and have their defaults in a request.

use prost::{Message, Oneof, bytes::Bytes};

/// `Compare.target`: how often a key was written since it was created, 0 for one that is not there.
pub(super) const VERSION: i32 = 0;
/// `Compare.target`: the value of a key.
pub(super) const VALUE: i32 = 3;
/// `Compare.result`
pub(super) const EQUAL: i32 = 0;
/// `Compare.result`
pub(super) const LESS: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) value: Bytes,
}

/// There is a field `serializable`, whose reads may be stale. It is never set.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Range {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    /// The key after the last one. Empty: only `key`.
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) end: Bytes,
    /// 0: all.
    #[prost(int64, tag = "3")]
    pub(super) limit: i64,
    #[prost(bool, tag = "8")]
    pub(super) is_without_values: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Ranged {
    #[prost(message, repeated, tag = "2")]
    pub(super) pairs: Vec<KeyValue>,
    /// Whether the limit left out some.
    #[prost(bool, tag = "3")]
    pub(super) has_more: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Put {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Delete {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    /// As in [`Range`].
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) end: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Deleted {
    #[prost(int64, tag = "2")]
    pub(super) count: i64,
}

/// A part of a transaction.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Part {
    #[prost(message, tag = "1")]
    Range(Range),
    #[prost(message, tag = "2")]
    Put(Put),
    #[prost(message, tag = "3")]
    Delete(Delete),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RequestOp {
    #[prost(oneof = "Part", tags = "1, 2, 3")]
    pub(super) part: Option<Part>,
}

/// The answer to a [`Part`]. The one to a put holds nothing that is used.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum PartAnswer {
    #[prost(message, tag = "1")]
    Ranged(Ranged),
    #[prost(message, tag = "3")]
    Deleted(Deleted),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResponseOp {
    #[prost(oneof = "PartAnswer", tags = "1, 3")]
    pub(super) answer: Option<PartAnswer>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Compare {
    #[prost(int32, tag = "1")]
    pub(super) result: i32,
    #[prost(int32, tag = "2")]
    pub(super) target: i32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) value: Bytes,
}

/// Carries out `success` if all of `compare` holds, otherwise `failure`, all at one moment.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Txn {
    #[prost(message, repeated, tag = "1")]
    pub(super) compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub(super) success: Vec<RequestOp>,
    #[prost(message, repeated, tag = "3")]
    pub(super) failure: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TxnAnswer {
    #[prost(bool, tag = "2")]
    pub(super) is_success: bool,
    #[prost(message, repeated, tag = "3")]
    pub(super) answers: Vec<ResponseOp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusRequest {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Header {
    #[prost(uint64, tag = "1")]
    pub(super) cluster: u64,
    /// The one that answers.
    #[prost(uint64, tag = "2")]
    pub(super) member: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MemberListRequest {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MemberList {
    #[prost(message, repeated, tag = "2")]
    pub(super) members: Vec<Listed>,
}

/// A member as others name it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Listed {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    /// Where it says that clients reach it. None before its first start.
    #[prost(string, repeated, tag = "4")]
    pub(super) urls: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<Header>,
    #[prost(string, tag = "2")]
    pub(super) version: String,
    /// Bytes of its database's file. The file does not shrink until it is defragmented.
    #[prost(int64, tag = "3")]
    pub(super) file_bytes: i64,
    /// Alarms and other things that are wrong, each as a text.
    #[prost(string, repeated, tag = "8")]
    pub(super) errors: Vec<String>,
    /// Bytes of the file that hold something.
    #[prost(int64, tag = "9")]
    pub(super) used_bytes: i64,
    /// The file's greatest size. 0 before 3.6.
    #[prost(int64, tag = "12")]
    pub(super) quota_bytes: i64,
}

impl From<Part> for RequestOp {
    fn from(part: Part) -> Self {
        Self { part: Some(part) }
    }
}

impl Part {
    /// Reads one key.
    pub(super) fn get(key: Bytes) -> RequestOp {
        Self::Range(Range { key, ..Range::default() }).into()
    }

    /// Writes one key.
    pub(super) fn put(key: Bytes, value: Bytes) -> RequestOp {
        Self::Put(Put { key, value }).into()
    }

    /// Deletes the keys from `key` to before `end`, or `key` alone if `end` is empty.
    pub(super) fn delete(key: Bytes, end: Bytes) -> RequestOp {
        Self::Delete(Delete { key, end }).into()
    }
}
