//! Reports that each node makes about its own files.

use futures_util::future::{join, join_all};
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use super::asked_node::{AskedNode, Failure};
use crate::{api::Scope, reading::records::ReadingError};

/// The reports of other nodes, by name: the report, or why there is none.
type Others<R> = Vec<(String, Result<R, String>)>;

/// What `own` makes of this node, and what the others answer to a call without parameters, all at the same time.
pub(in crate::reading) fn reports<O: Send + 'static, R: DeserializeOwned>(
    asked: &[AskedNode],
    path: &str,
    own: impl FnOnce() -> O + Send + 'static,
) -> Result<(O, Others<R>), ReadingError> {
    let Some(first) = asked.first() else { return Ok((own(), Vec::new())) };
    let path = format!("{path}?scope={}", Scope::Node.code());
    let answers = join_all(asked.iter().map(|node| node.answer::<R>(&path)));
    let (own, answers) = first.wait(async { join(spawn_blocking(own), answers).await });
    // It panicked, and has said so.
    let own = own.map_err(|_| ReadingError::Stopped)?;
    let mut others = Vec::new();
    for (node, answer) in asked.iter().zip(answers) {
        let told = match answer {
            Ok(report) => Ok(report),
            Err(Failure::Missing(why)) => Err(why.to_string()),
            Err(Failure::Stopped) => return Err(ReadingError::Stopped),
        };
        others.push((node.member.name.clone(), told));
    }
    Ok((own, others))
}
