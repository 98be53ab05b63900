//! What a node finds out about its engine when it starts.

use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use prost::bytes::Bytes;

use super::{
    ANSWER_OVERHEAD, Etcd,
    config::{Fence, Probed},
    messages::{Compare, LESS, Part, Txn, TxnAnswer, VERSION},
    ranged,
};
use crate::{limits, shared_log::interface::EngineError};

/// What a key of a probe holds.
const PROBE: &[u8] = b"probe";

impl Etcd {
    /// Finds out whether the engine does what is needed, and which fence its members allow. A node may call it again at any time.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] if too few members answer. [`EngineError::Refused`] if a member is no etcd, too old, of another cluster, or
    /// refuses this node; if the engine has no room; if it does not carry out a transaction as it must.
    pub async fn probe(&self) -> Result<Probed, EngineError> {
        let roll = self.fresh_roll().await?;
        if self.fence() == Fence::Read && !roll.has_fresh_reads() {
            let text = "not every member is known to have the fix of etcd issue 20418, so reads may \
                        be stale: take the fence `auto`";
            return Err(EngineError::Refused(text.to_owned()));
        }
        for member in &roll.known {
            member.judge_alarms()?;
        }
        self.judge_transactions().await?;
        self.judge_size().await?;
        Ok(self.probed(roll))
    }

    /// A transaction compares, writes and deletes. Each answer is judged so that it does not matter whether an earlier try, which got no
    /// answer, was carried out, too.
    async fn judge_transactions(&self) -> Result<(), EngineError> {
        let mut random = [0; 8];
        rand::fill(&mut random).map_err(|_| {
            EngineError::Refused("the operating system gives no random bytes".to_owned())
        })?;
        let folder = HEXLOWER.encode(&random);
        let mut tries = 0;
        let mut key = Bytes::new();
        let create = || {
            // Another one for each try: a try before may have made its own.
            tries += 1;
            key = self.keys.probe(&format!("{folder}/{tries}"));
            Txn {
                compare: vec![Compare { target: VERSION, key: key.clone(), ..Compare::default() }],
                success: vec![Part::put(key.clone(), Bytes::from_static(PROBE))],
                ..Txn::default()
            }
        };
        let created = self.members.txn_by(create, ANSWER_OVERHEAD).await?.is_success;
        let find = Txn {
            compare: vec![Compare { target: VERSION, key: key.clone(), ..Compare::default() }],
            failure: vec![Part::get(key.clone())],
            ..Txn::default()
        };
        let found = self.txn(find.clone()).await?;
        let is_found = !found.is_success && value_in(found) == Some(PROBE.into());
        // `0` is the character after `/`.
        let [first, end] = ["/", "0"].map(|end| self.keys.probe(&format!("{folder}{end}")));
        self.txn(Txn { success: vec![Part::delete(first, end)], ..Txn::default() }).await?;
        let is_gone = self.txn(find).await?.is_success;
        if !created || !is_found || !is_gone {
            let text = "a transaction with a comparison did something else than it must";
            return Err(EngineError::Refused(text.to_owned()));
        }
        Ok(())
    }

    /// A request may hold the largest entry. The one that is sent compares with what never holds, so it writes nothing.
    async fn judge_size(&self) -> Result<(), EngineError> {
        let never = Compare { result: LESS, target: VERSION, ..self.head_is(super::Head::EMPTY) };
        let largest = Bytes::from(vec![0; limits::SHARED_LOG_ENTRY_MAX]);
        let success = vec![Part::put(self.keys.entry(0), largest)];
        let txn = Txn { compare: vec![never], success, failure: Vec::new() };
        match self.txn(txn).await {
            Ok(answer) if !answer.is_success => Ok(()),
            Ok(_) => {
                Err(EngineError::Damaged("a transaction was carried out whose condition failed"))
            }
            // What is beyond the limit of a message is no refusal of etcd's own.
            Err(EngineError::Unknown(text)) if !text.contains("larger than max") => {
                Err(EngineError::Unknown(text))
            }
            Err(error) => {
                let bytes = limits::SHARED_LOG_ENTRY_MAX;
                Err(EngineError::Refused(format!(
                    "it does not take an entry of {bytes} bytes ({error}): set --max-request-bytes \
                     to 1572864, which is etcd's default"
                )))
            }
        }
    }
}

/// The value of the one key that was read.
fn value_in(answer: TxnAnswer) -> Option<Bytes> {
    let pairs = ranged(answer.answers.into_iter().next()).ok()?.pairs;
    pairs.into_iter().next().map(|pair| pair.value)
}
