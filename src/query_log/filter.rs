//! Which rows an operator asks for.

use std::{fmt, net::IpAddr, str::FromStr};

use super::record::{LogRow, Reason, Record, Route};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
};

/// What kind of row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A lookup.
    Lookup,
    /// A registry change.
    Change,
}

impl Kind {
    /// The code in JSON and in queries.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Change => "change",
        }
    }

    /// From the code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "lookup" => Some(Self::Lookup),
            "change" => Some(Self::Change),
            _ => None,
        }
    }
}

/// An address, or a network in CIDR form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IpPrefix {
    network: IpAddr,
    bits: u8,
}

/// The text is neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address, nor a network such as 192.0.2.0/24")]
pub struct IpPrefixError;

impl IpPrefix {
    /// Whether `ip` lies in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.network, ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let differs = network.to_bits() ^ ip.to_bits();
                differs.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let differs = network.to_bits() ^ ip.to_bits();
                differs.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl IpPrefix {
    /// As text, in CIDR form, without the bits that are no part of the network: two spellings of one network are one
    /// text. Personal, so it has a name instead of being how the value prints.
    #[must_use]
    pub fn canonical(&self) -> String {
        let bits = u32::from(self.bits);
        let network = match self.network {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                IpAddr::V4((ip.to_bits() & mask).into())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                IpAddr::V6((ip.to_bits() & mask).into())
            }
        };
        format!("{network}/{bits}")
    }
}

impl FromStr for IpPrefix {
    type Err = IpPrefixError;

    fn from_str(text: &str) -> Result<Self, IpPrefixError> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let network: IpAddr = address.parse().map_err(|_| IpPrefixError)?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.starts_with('+') => return Err(IpPrefixError),
            Some(bits) => bits.parse().map_err(|_| IpPrefixError)?,
        };
        if bits > most { Err(IpPrefixError) } else { Ok(Self { network, bits }) }
    }
}

impl fmt::Debug for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IpPrefix(…/{})", self.bits)
    }
}

/// What rows must have; what is none does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The handle asked for, or changed.
    pub handle: Option<Handle>,
    /// The asking, or changed, device.
    pub device: Option<DeviceId>,
    /// The asker's, or changed, account.
    pub account: Option<AccountId>,
    /// Where the lookup came from.
    pub ip: Option<IpPrefix>,
    /// The lookup's route.
    pub route: Option<Route>,
    /// The lookup's reason.
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
    #[must_use]
    pub fn matches(&self, row: &LogRow) -> bool {
        let in_time = self.since.is_none_or(|since| row.at >= since)
            && self.until.is_none_or(|until| row.at < until);
        in_time
            && match &row.record {
                Record::Lookup(lookup) => {
                    self.kind.is_none_or(|kind| kind == Kind::Lookup)
                        && is(&self.handle, lookup.handle.as_ref())
                        && is(&self.device, lookup.device.as_ref())
                        && is(&self.account, lookup.account.as_ref())
                        && is(&self.route, lookup.route.as_ref())
                        && is(&self.reason, Some(&lookup.reason))
                        && self.ip.is_none_or(|net| lookup.ip.is_some_and(|ip| net.contains(ip)))
                }
                Record::Change(change) => {
                    self.kind.is_none_or(|kind| kind == Kind::Change)
                        && (self.ip.is_none() && self.route.is_none() && self.reason.is_none())
                        && is(&self.handle, change.handle.as_ref())
                        && is(&self.device, change.device.as_ref())
                        && is(&self.account, change.account.as_ref())
                }
            }
    }
}

fn is<T: PartialEq>(wanted: &Option<T>, found: Option<&T>) -> bool {
    wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hold_their_addresses() {
        let holds = |prefix: &str, ip: &str| {
            prefix.parse::<IpPrefix>().unwrap().contains(ip.parse().unwrap())
        };
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("0.0.0.0/0", "255.1.2.3") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("::/0", "ffff::1"));
        for (text, canonical) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("1.2.3.4/0", "0.0.0.0/0"),
            ("2001:db8::7/32", "2001:db8::/32"),
            ("ffff::1/0", "::/0"),
        ] {
            assert_eq!(text.parse::<IpPrefix>().unwrap().canonical(), canonical);
        }
        for wrong in
            ["", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/+8", "/8", "1.2.3.4/8/8"]
        {
            assert_eq!(wrong.parse::<IpPrefix>(), Err(IpPrefixError), "{wrong}");
        }
    }
}
