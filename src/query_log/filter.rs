//! Which rows an operator asks for, and in which order.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::record::{Client, LogRow, Outcome, Record, RowView};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId},
    vocabulary::{Reason, Route, codes},
};

codes! {
    /// What kind of row.
    Kind {
        /// A lookup.
        Lookup = 1 "lookup",
        /// A registry change.
        Change = 2 "change",
        /// A number of refused lookups without records of their own.
        Refusals = 3 "refusals",
    }
}

impl Record {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Lookup(_) => Kind::Lookup,
            Self::Change(_) => Kind::Change,
            Self::Refusals(_) => Kind::Refusals,
        }
    }

    /// The id of the change that it is about.
    pub const fn change_id(&self) -> Option<ChangeId> {
        match self {
            Self::Change(change) => Some(change.id),
            Self::Lookup(_) | Self::Refusals(_) => None,
        }
    }
}

codes! {
    /// The order in which a search gives rows.
    #[derive(Default)]
    Order {
        /// Oldest first.
        #[default]
        Asc = 1 "asc",
        /// Newest first.
        Desc = 2 "desc",
    }
}

/// An address or a network in CIDR form, without the bits that are no part of the network. An IPv4-mapped IPv6 network
/// (`::ffff:…`) is held as its IPv4 form: two spellings of one network are equal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// The text is neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address, nor a network such as 192.0.2.0/24")]
pub struct NetworkError;

impl Network {
    /// Bits of an IPv6 address before the IPv4 address that it maps.
    const MAPPED_BITS: u8 = 96;

    /// Whether `ip` lies in it. An IPv4-mapped address counts as its IPv4 form.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }

    /// As text, in CIDR form. It is personal, so it has a name instead of a `Display`.
    pub fn canonical(&self) -> String {
        self.0.to_string()
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        let net = text.parse().or_else(|_| address()).map_err(|_| NetworkError)?;
        let mapped = match net.network().to_canonical() {
            IpAddr::V4(ip) => {
                net.prefix_len().checked_sub(Self::MAPPED_BITS).map(|bits| (ip, bits))
            }
            IpAddr::V6(_) => None,
        };
        match (net, mapped) {
            (IpNet::V6(_), Some((ip, bits))) => {
                IpNet::new(ip.into(), bits).map_err(|_| NetworkError)
            }
            (net, _) => Ok(net.trunc()),
        }
        .map(Self)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network(…/{})", self.0.prefix_len())
    }
}

/// What rows must have; what is none does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The handle asked for, or changed.
    pub handle: Option<Handle>,
    /// Only rows that concern no handle.
    pub without_handle: bool,
    /// The asking, or changed, device.
    pub device: Option<DeviceId>,
    /// The asker's, or changed, account.
    pub account: Option<AccountId>,
    /// Where the lookup came from.
    pub ip: Option<Network>,
    /// The lookup's route.
    pub route: Option<Route>,
    /// The reason of the lookup, or of refusals.
    pub reason: Option<Reason>,
    /// The kind of row.
    pub kind: Option<Kind>,
    /// From this instant on.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether a row is asked for.
    pub fn matches(&self, row: &LogRow) -> bool {
        let RowView { at, handle, client, outcome, .. } = RowView::from(row);
        self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at < until)
            && self.handle.as_ref().is_none_or(|wanted| handle == Some(wanted.into()))
            && !(self.without_handle && handle.is_some())
            && self.matches_client(&client)
            && self.matches_outcome(outcome)
    }

    /// Whether its conditions on account, device and address hold.
    pub(super) fn matches_client(&self, client: &Client) -> bool {
        self.account.is_none_or(|wanted| client.account == Some(wanted))
            && self.device.is_none_or(|wanted| client.device == Some(wanted))
            && self.ip.is_none_or(|net| client.ip.is_some_and(|ip| net.contains(ip)))
    }

    /// Whether its conditions on kind, route and reason hold.
    pub(super) fn matches_outcome(&self, outcome: Outcome) -> bool {
        let (kind, route, reason) = match outcome {
            Outcome::Lookup { route, reason, .. } => (Kind::Lookup, route, Some(reason)),
            Outcome::Change { .. } => (Kind::Change, None, None),
            Outcome::Refusals { code } => (Kind::Refusals, None, Some(Reason::Refused(code))),
        };
        self.kind.is_none_or(|wanted| kind == wanted)
            && self.route.is_none_or(|wanted| route == Some(wanted))
            && self.reason.is_none_or(|wanted| reason == Some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hold_their_addresses() {
        let holds = |prefix: &str, ip: &str| {
            prefix.parse::<Network>().unwrap().contains(ip.parse().unwrap())
        };
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("0.0.0.0/0", "255.1.2.3") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("::/0", "ffff::1"));
        for mapped in ["::ffff:7f00:1", "::ffff:127.0.0.1", "::ffff:127.0.0.0/104", "127.0.0.0/8"] {
            assert!(holds(mapped, "127.0.0.1") && holds(mapped, "::ffff:127.0.0.1"), "{mapped}");
            assert!(!holds(mapped, "128.0.0.1") && !holds(mapped, "::1"), "{mapped}");
        }
        for (text, canonical) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("1.2.3.4/0", "0.0.0.0/0"),
            ("2001:db8::7/32", "2001:db8::/32"),
            ("ffff::1/0", "::/0"),
            ("::ffff:127.0.0.1/104", "127.0.0.0/8"),
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().canonical(), canonical);
        }
        for wrong in
            ["", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/+8", "/8", "1.2.3.4/8/8"]
        {
            assert_eq!(wrong.parse::<Network>(), Err(NetworkError), "{wrong}");
        }
    }
}
