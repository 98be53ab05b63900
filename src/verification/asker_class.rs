//! [`AskerClass`]: how well the service knows who asks for a code.

use serde::{Deserialize, Serialize};

/// Who asks for a code, from the least known to the best known. Limits keep a part of what there is for each better known
/// class, so that strangers cannot use all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum AskerClass {
    /// Nobody knows: the request has no token.
    Tokenless,
    /// A device whose account holds no handle.
    Unproven,
    /// A device whose account holds a handle, but not this one.
    Proven,
    /// A device whose account holds the handle or lost it within 30 days.
    Holder,
}

impl AskerClass {
    pub(super) const fn has_token(self) -> bool {
        !matches!(self, Self::Tokenless)
    }

    /// The quarters that this class may fill of something that all classes share.
    pub(super) const fn quarters(self) -> u32 {
        match self {
            Self::Tokenless => 2,
            Self::Unproven => 3,
            Self::Proven | Self::Holder => 4,
        }
    }
}
