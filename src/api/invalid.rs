//! A request that cannot be understood.

use std::borrow::Cow;

use crate::handle::HandleError;

/// What is wrong with a request, and what it takes instead. The text never holds the value that came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Invalid {
    text: Cow<'static, str>,
    /// Why the handle that the call is about is none, if that is what is wrong.
    pub handle: Option<HandleError>,
}

impl Invalid {
    /// A request that is wrong as `text` says.
    #[must_use]
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), handle: None }
    }

    /// A parameter whose value is not what it takes.
    #[must_use]
    pub fn parameter(name: &str, takes: &str) -> Self {
        Self::new(format!("`{name}` takes {takes}"))
    }

    /// A `handle` that is none.
    #[must_use]
    pub fn handle(error: HandleError) -> Self {
        let region = match error {
            HandleError::NeedsRegion => "; give it as `region`, such as US",
            _ => "",
        };
        let text = format!("`handle` takes a phone number or an e-mail address: {error}{region}");
        Self { text: text.into(), handle: Some(error) }
    }
    /// The same of a handle that is one filter among others, and not what the call is about.
    pub(super) fn of_filter(self) -> Self {
        Self { handle: None, ..self }
    }
}
