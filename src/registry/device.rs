//! One device, and what its owner may read of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
};

/// What kind of device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// A phone.
    Ios,
    /// A tablet.
    Ipados,
    /// A computer.
    Macos,
    /// A watch.
    Watchos,
    /// A headset.
    Visionos,
    /// Anything else.
    Other,
}

impl Platform {
    /// Every case, in the order of their numbers on disk.
    pub const ALL: [Self; 6] =
        [Self::Ios, Self::Ipados, Self::Macos, Self::Watchos, Self::Visionos, Self::Other];

    /// The name in JSON, in the configuration and in an import file.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::Ipados => "ipados",
            Self::Macos => "macos",
            Self::Watchos => "watchos",
            Self::Visionos => "visionos",
            Self::Other => "other",
        }
    }

    /// From its name.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.code() == code)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A device as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceDetails {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// What kind it is.
    pub platform: Platform,
    /// What its owner calls it.
    pub name: Option<String>,
    /// When it signed up.
    pub registered_at: Timestamp,
    /// When it last checked in.
    pub last_check_in_at: Timestamp,
    /// Until when it counts as live.
    pub lease_expires_at: Timestamp,
    /// The handles that it backs, sorted by canonical form.
    pub handles: Vec<HandleDetails>,
    /// The handles that its account held within the last 30 days and holds no more, in the order of their loss,
    /// then by canonical form.
    pub lost: Vec<LostDetails>,
}

/// A handle that is its owner's no more, as the former owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostDetails {
    /// The handle.
    pub handle: Handle,
    /// Why.
    pub how: HandleLoss,
    /// When.
    pub at: Timestamp,
}

/// Why an account holds a handle no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandleLoss {
    /// Another account proved it later.
    Moved,
    /// It was taken back from every device by a code sent to it.
    Deregistered,
    /// The last device that backed it gave it up.
    Unbound,
    /// The last device that backed it signed out, or was silent for too long.
    DeviceRemoved,
}

impl HandleLoss {
    /// The name in JSON.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Deregistered => "deregistered",
            Self::Unbound => "unbound",
            Self::DeviceRemoved => "device-removed",
        }
    }
}

/// A handle as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleDetails {
    /// The handle.
    pub handle: Handle,
    /// When its ownership was last proved.
    pub proved_at: Timestamp,
    /// Whether strangers may find it.
    pub discoverable: bool,
}
