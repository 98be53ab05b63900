//! The log as a whole: whether anything lies where it would be, and how it begins anew.

use data_encoding::HEXLOWER;
use prost::bytes::Bytes;

use super::{
    Etcd,
    keys::head_value,
    messages::{Part, Range, Txn},
    ranged,
};
use crate::shared_log::interface::{EngineError, Head};

impl Etcd {
    /// A key that lies where the log would be, as text. None if there is none. What a probe may have left does not count.
    ///
    /// # Errors
    /// If the engine gives no answer.
    pub async fn first_key(&self) -> Result<Option<String>, EngineError> {
        let [before, behind] = self.keys.all_but_probes().map(|(key, end)| {
            Part::Range(Range { key, end, limit: 1, is_without_values: true }).into()
        });
        let answer = self.txn(Txn { success: vec![before, behind], ..Txn::default() }).await?;
        for answer in answer.answers {
            if let Some(pair) = ranged(Some(answer))?.pairs.pop() {
                let text = str::from_utf8(&pair.key).map(str::to_owned);
                return Ok(Some(text.unwrap_or_else(|_| HEXLOWER.encode(&pair.key))));
            }
        }
        Ok(None)
    }

    /// Removes all entries and has the log go on behind `head`, if its head is `expected`. False if it is another one; then nothing is
    /// changed. For a log that was lost or restored from a backup.
    ///
    /// # Errors
    /// If the engine gives no answer. It may have done it; the same call says so by `false`, and [`SharedLog::head`] tells.
    ///
    /// [`SharedLog::head`]: crate::shared_log::SharedLog::head
    pub async fn begin_anew(&self, expected: Head, head: Head) -> Result<bool, EngineError> {
        let txn = Txn {
            compare: vec![self.head_is(expected)],
            success: vec![
                Part::delete(self.keys.entry(0), self.keys.entries_end()),
                Part::put(self.keys.head(), head_value(head)),
            ],
            failure: vec![Part::delete(self.keys.fence(), Bytes::new())],
        };
        Ok(self.txn(txn).await?.is_success)
    }
}
