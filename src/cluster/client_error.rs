//! [`ClientError`]: why another node gave nothing.

use std::error::Error as _;

use super::answer_lines::LinesError;
use crate::{limits, vocabulary::ProblemCode};

/// How the TLS library begins to say what is wrong with a certificate.
const UNTRUSTED: &str = "invalid peer certificate: ";

/// Why another node gave nothing. The texts hold no token.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of authorities cannot be used.
    #[error("cluster.members_ca: {0}")]
    Authorities(String),
    /// There was no answer.
    #[error("no answer: {0}")]
    Unanswered(String),
    /// It has stopped answering. The text says what became of the last call.
    #[error("{0}")]
    Silent(String),
    /// It was removed from the cluster.
    #[error("it is no node of the cluster any more")]
    Removed,
    /// Its clocks disagree, so it does not show all records that it has.
    #[error("its clocks disagree, and records up to {0} are hidden")]
    Hides(String),
    /// Its certificate is none that this node trusts, or is for another name.
    #[error(
        "its certificate is not trusted ({0}); cluster.members_ca names the authority, and the certificate must be for the name in the address"
    )]
    Untrusted(String),
    /// It refuses. The text is its own.
    #[error("{status}: {detail}")]
    Refused {
        /// The status.
        status: u16,
        /// The code of the problem.
        code: String,
        /// What it said.
        detail: String,
    },
    /// The answer is none of this version.
    #[error("its answer cannot be read; is it of another version?")]
    Unreadable,
    /// Another node has the address.
    #[error("another node answers at its address")]
    OtherNode,
}

impl ClientError {
    /// Whether nobody answers as the node any more. One that refuses is there.
    pub const fn is_gone(&self) -> bool {
        match self {
            Self::Unanswered(_)
            | Self::Silent(_)
            | Self::Removed
            | Self::Untrusted(_)
            | Self::OtherNode => true,
            Self::Authorities(_) | Self::Hides(_) | Self::Refused { .. } | Self::Unreadable => {
                false
            }
        }
    }

    /// Whether the node lacks something that it gets soon.
    pub(super) fn is_behind(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == ProblemCode::RegistryBehind.code())
    }
}

impl From<LinesError<Self>> for ClientError {
    fn from(error: LinesError<Self>) -> Self {
        match error {
            LinesError::Broken(error) => error,
            LinesError::TooLong | LinesError::WithinLine => Self::Unanswered(error.to_string()),
        }
    }
}

/// Without the URL, and with what lies behind the library's own words.
pub(super) fn unanswered(error: reqwest::Error) -> ClientError {
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    let why = cause.map_or_else(|| error.to_string(), ToString::to_string);
    match why.strip_prefix(UNTRUSTED) {
        Some(fault) => ClientError::Untrusted(cut(fault.to_owned())),
        None => ClientError::Unanswered(cut(why)),
    }
}

/// A text of another node, or about what it sent: short, and without what would end or overwrite a line.
pub(super) fn cut(text: String) -> String {
    let is_short = text.len() <= limits::CLUSTER_TEXT_CHARS_MAX;
    if is_short && !text.contains(char::is_control) {
        return text;
    }
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut cut: String = shown.take(limits::CLUSTER_TEXT_CHARS_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
