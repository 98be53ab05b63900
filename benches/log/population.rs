//! Derives handles and askers from a seed and a rank. Nothing is stored, and a rank gives the same handle in every
//! process.
//!
//! Assumptions:
//!
//! - Of 100 handles, 85 are mobile numbers of a few countries. The others are email addresses, most of them at a few
//!   large providers.
//! - A third of the devices share an account with another device.
//! - Of 100 accounts, 40 have an IPv4 address of their own and 40 share a carrier's IPv4 address with fifty devices.
//!   20 have an IPv6 network, in which each device has an address.
//! - One request in ten comes from the account's second address.
//! - Of 1,000 handles, 420 are on the service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dispatchd::{
    handle::{Handle, PhoneKey},
    ids::{AccountId, DeviceId},
    vocabulary::{HandleLoss, Reason, Route},
};

/// A small seeded generator (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64. It is a bijection, so different inputs give different outputs.
pub(crate) const fn scramble(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STRIDE);
        scramble(self.0)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A number from 0 (included) to 1 (excluded).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Draws ranks from a Zipf-Mandelbrot distribution with exponent 3/4: the weight of rank `r` is `(r +
/// offset)^(-3/4)`.
struct Skew {
    offset: f64,
    low: f64,
    span: f64,
}

impl Skew {
    fn new(ranks: u64, offset: u64) -> Self {
        let (ranks, offset) = (ranks as f64, offset.max(1) as f64);
        let low = offset.powf(0.25);
        Self { offset, low, span: (ranks + offset).powf(0.25) - low }
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let root = self.low + self.span * random.unit();
        (root * root * root * root - self.offset) as u64
    }
}

/// Number plans: the digits before the free ones, the number of free digits, and the plan's share in percent.
const PLANS: [(u64, u32, u64); 12] = [
    (1_212, 7, 12),
    (1_310, 7, 12),
    (1_415, 7, 12),
    (1_720, 7, 10),
    (4_477, 8, 7),
    (4_475, 8, 5),
    (49_151, 8, 5),
    (49_176, 8, 5),
    (336, 8, 8),
    (8_190, 8, 10),
    (55_119, 8, 7),
    (9_198, 8, 7),
];
const PLAN_SHARES: u64 = 100;
const EMAIL_PERCENT: u64 = 15;
const FIRST: [&str; 16] = [
    "anna", "ben", "carla", "david", "elena", "felix", "grace", "hiro", "ines", "jonas", "kofi",
    "lucia", "maria", "noah", "olga", "priya",
];
const LAST: [&str; 16] = [
    "smith", "garcia", "mueller", "rossi", "tanaka", "dubois", "silva", "patel", "kim", "novak",
    "jensen", "okafor", "brown", "lopez", "weber", "moreau",
];
const PROVIDERS: [&str; 4] =
    ["mail.example", "post.example.com", "inbox.example.org", "box.example.net"];

/// The route of one in this many handles changes often.
const FLIPPING_EACH: u64 = 2_000;

/// A device that sends lookups.
#[derive(Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) device: DeviceId,
    pub(crate) account: AccountId,
    pub(crate) ip: IpAddr,
}

/// All handles and all devices.
pub(crate) struct Population {
    seed: u64,
    /// How many handles are asked for. Ranks from here on are never asked for.
    pub(crate) handles: u64,
    devices: u64,
    asked: Skew,
    asking: Skew,
}

impl Population {
    /// Sizes the population for `per_hour` records an hour: twice as many handles and a quarter as many devices.
    pub(crate) fn new(seed: u64, per_hour: u64) -> Self {
        let (handles, devices) = (per_hour * 2, (per_hour / 4).max(100));
        let asked = Skew::new(handles, handles / 20_000);
        let asking = Skew::new(devices, devices / 10_000);
        Self { seed, handles, devices, asked, asking }
    }

    fn bits(&self, what: u64, rank: u64) -> u64 {
        scramble(scramble(self.seed ^ what << 56).wrapping_add(rank.wrapping_mul(STRIDE)))
    }

    /// Draws the rank of a handle. Lower ranks come more often.
    pub(crate) fn draw_handle(&self, random: &mut Random) -> u64 {
        self.asked.draw(random).min(self.handles - 1)
    }

    /// The handle with this rank. Nobody asks for ranks from [`Population::handles`] on.
    pub(crate) fn handle(&self, rank: u64) -> Handle {
        let bits = self.bits(1, rank);
        let handle = if is_email(bits) { email(bits) } else { phone(bits) };
        handle.expect("it is written in canonical form")
    }

    /// The route and the reason that a lookup of this handle gets in a minute.
    pub(crate) fn verdict(&self, rank: u64, minute: u64) -> (Route, Reason) {
        let bits = self.bits(1, rank);
        let away = if is_email(bits) { Route::None } else { Route::Sms };
        let state = self.bits(2, rank);
        if rank % FLIPPING_EACH == FLIPPING_EACH / 2 {
            let period = 10 + state % 50;
            return if (minute / period).is_multiple_of(2) {
                (Route::Imessage, Reason::LiveDevice)
            } else {
                (away, Reason::LeaseExpired)
            };
        }
        match state % 1_000 {
            0..420 => (Route::Imessage, Reason::LiveDevice),
            420..960 => (away, Reason::NeverRegistered),
            960..980 => (away, Reason::LeaseExpired),
            980..988 => (away, Reason::Lost(HandleLoss::Deregistered)),
            988..993 => (away, Reason::Lost(HandleLoss::DeviceRemoved)),
            993..996 => (away, Reason::Lost(HandleLoss::Unbound)),
            996..998 => (away, Reason::Lost(HandleLoss::Moved)),
            _ => (away, Reason::Undiscoverable),
        }
    }

    /// Draws the rank of a handle whose route changes often.
    pub(crate) fn draw_flipping(&self, random: &mut Random) -> u64 {
        let rank = self.draw_handle(random);
        let flipping = rank - rank % FLIPPING_EACH + FLIPPING_EACH / 2;
        flipping.min(self.handles - 1)
    }

    pub(crate) fn draw_asker(&self, random: &mut Random) -> Asker {
        let rank = self.asking.draw(random).min(self.devices - 1);
        self.asker(rank, random.below(10) == 0)
    }

    /// A device of the account that holds the handle.
    pub(crate) fn owner(&self, rank: u64) -> Asker {
        self.asker(self.bits(3, rank) % self.devices, false)
    }

    fn asker(&self, rank: u64, elsewhere: bool) -> Asker {
        let account = rank / 4 * 3 + (rank % 4).min(2);
        let device = DeviceId::from_bits(self.bits(4, rank));
        let ip = self.ip(account * 2 + u64::from(elsewhere), rank);
        Asker { device, account: AccountId::from_bits(self.bits(5, account)), ip }
    }

    fn ip(&self, place: u64, device: u64) -> IpAddr {
        let bits = self.bits(6, place);
        match bits % 10 {
            0..4 => v4(bits >> 8).into(),
            4..8 => v4(self.bits(7, (bits >> 8) % (self.devices / 50 + 1))).into(),
            _ => {
                // 300 providers with 2^32 networks each.
                let network = 0x2a00_0000 + (bits >> 8) % 300;
                let high = network << 32 | bits >> 32;
                Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(self.bits(8, device)))
                    .into()
            }
        }
    }
}

const fn is_email(bits: u64) -> bool {
    bits % 100 < EMAIL_PERCENT
}

fn phone(bits: u64) -> Option<Handle> {
    let mut left = (bits >> 8) % PLAN_SHARES;
    let is_met = |(_, _, share): &&(u64, u32, u64)| {
        let met = left < *share;
        left = left.saturating_sub(*share);
        met
    };
    let (prefix, digits, _) = *PLANS.iter().find(is_met)?;
    let span = 10_u64.pow(digits);
    // The lowest fifth stays unused: in many countries a subscriber number cannot begin with 0 or 1.
    let subscriber = span / 5 + (bits >> 16) % (span / 5 * 4);
    PhoneKey::from_bits(prefix * span + subscriber).map(Handle::Phone)
}

fn email(bits: u64) -> Option<Handle> {
    let (first, last) = (FIRST[(bits >> 8 & 15) as usize], LAST[(bits >> 12 & 15) as usize]);
    let number = (bits >> 16) % 100_000;
    let text = if bits >> 40 & 3 > 0 {
        let provider = PROVIDERS[(bits >> 42 & 3) as usize];
        format!("{first}.{last}{number}@{provider}")
    } else {
        format!("{first}{number}@{last}{}.example", (bits >> 44) % 1_000)
    };
    Handle::from_canonical(&text)
}

/// A public address outside 203.0.113.0/24. The bench searches for that network to find nothing.
fn v4(bits: u64) -> Ipv4Addr {
    let [first, rest @ ..] = (bits as u32).to_be_bytes();
    let first = 11 + first % 190;
    Ipv4Addr::from([first, rest[0], rest[1], rest[2]])
}
