//! Kinds of devices.

use super::codes::codes;

codes! {
    /// What kind of device it is.
    Platform {
        /// A phone.
        Ios = 1 "ios",
        /// A tablet.
        Ipados = 2 "ipados",
        /// A computer.
        Macos = 3 "macos",
        /// A watch.
        Watchos = 4 "watchos",
        /// A headset.
        Visionos = 5 "visionos",
        /// Anything else.
        Other = 6 "other",
    }
}
