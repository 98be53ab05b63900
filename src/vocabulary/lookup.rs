//! What comes of a lookup, and why.

use super::{codes::codes, problem::ProblemCode};

codes! {
    /// Which way a message goes.
    Route {
        /// Over the messaging service: the blue bubble.
        Imessage = 1 "imessage",
        /// By text message: the green bubble.
        Sms = 2 "sms",
        /// No way: an e-mail address that no live device backs.
        None = 3 "none",
    }
}

codes! {
    /// The route that a whole group can use.
    Together {
        /// Members have different routes, and none has the route `none`.
        Mixed = 4 "mixed",
    } with {
        /// Every member has this route; or `none`, if one has none or is no handle.
        Route(Route) = 0,
    }
}

codes! {
    /// Why a lookup got its route, or why it was refused. For operators, never for the asker.
    Reason {
        /// A live device backs the handle.
        LiveDevice = 1 "live-device",
        /// Nobody ever proved the handle, or so long ago that it is forgotten.
        NeverRegistered = 2 "never-registered",
        /// Its devices have not checked in within the lease.
        LeaseExpired = 3 "lease-expired",
        /// Its owner hides it from strangers.
        Undiscoverable = 4 "undiscoverable",
    } with {
        /// Nobody holds the handle any more, for this reason.
        Lost(HandleLoss) = 16,
        /// The lookup was refused with this problem.
        Refused(ProblemCode) = 64,
    }
}

codes! {
    /// Why an account holds a handle no more.
    HandleLoss {
        /// Another account proved it later and holds it now.
        Moved = 1 "moved",
        /// Its owner took it back from every device, with a code sent to it.
        Deregistered = 2 "deregistered",
        /// The last device that backed it gave it up.
        Unbound = 3 "unbound",
        /// The last device that backed it signed out, or was silent for too long.
        DeviceRemoved = 4 "device-removed",
    }
}
