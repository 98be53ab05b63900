//! Generates accounts with phone numbers and email addresses as an import file. The same seed gives the same
//! accounts.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use dispatchd::clock::Timestamp;

/// A small seeded generator (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

/// How handles are distributed over accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each handle has an account of its own.
    Single,
    /// Accounts have a phone number, some have an email address too, and the devices back both.
    Shared,
}

/// Mobile numbers of one country: the digits before the free ones, the number of free digits, and the plan's weight.
struct Plan {
    prefix: &'static str,
    free_digits: u32,
    weight: u64,
}

const fn plan(prefix: &'static str, free_digits: u32, weight: u64) -> Plan {
    Plan { prefix, free_digits, weight }
}

const PLANS: [Plan; 29] = [
    plan("+1212", 7, 8),
    plan("+1310", 7, 8),
    plan("+1415", 7, 8),
    plan("+1646", 7, 8),
    plan("+1720", 7, 8),
    plan("+1416", 7, 4),
    plan("+8190", 8, 8),
    plan("+8180", 8, 6),
    plan("+4477", 8, 7),
    plan("+4478", 8, 5),
    plan("+49151", 8, 5),
    plan("+49176", 8, 5),
    plan("+336", 8, 6),
    plan("+337", 8, 2),
    plan("+3933", 8, 5),
    plan("+346", 8, 4),
    plan("+9198", 8, 8),
    plan("+9199", 8, 8),
    plan("+86138", 8, 8),
    plan("+86159", 8, 8),
    plan("+551199", 7, 5),
    plan("+614", 8, 4),
    plan("+467", 8, 2),
    plan("+4179", 7, 2),
    plan("+316", 8, 2),
    plan("+6591", 6, 1),
    plan("+97150", 7, 1),
    plan("+2782", 7, 2),
    plan("+52555", 7, 2),
];

const DOMAINS: [&str; 6] = [
    "example.com",
    "mail.example.org",
    "post.example.net",
    "students.example.edu",
    "example.co.uk",
    "b\u{fc}ro.example",
];
const PLATFORMS: [&str; 6] = ["ios", "ios", "ios", "ipados", "macos", "watchos"];
/// The share of email addresses in `Shape::Single`.
const EMAIL_PERCENT: u64 = 15;
/// The shares of accounts with only an address, and with both, in `Shape::Shared`. They also give 15 % addresses.
const EMAIL_ONLY_PERCENT: u64 = 7;
const BOTH_PERCENT: u64 = 11;
/// The share of accounts with a second device.
const SECOND_DEVICE_PERCENT: u64 = 30;

/// The size of the written file.
pub(crate) struct Written {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Writes the rows of a population.
struct Population {
    random: Random,
    out: BufWriter<File>,
    now: Timestamp,
    weights: u64,
    devices: u64,
    rows: u64,
    /// Numbers already used from each plan.
    given: [u64; PLANS.len()],
}

/// Writes a file with `handles` different handles.
pub(crate) fn write(
    path: &Path,
    shape: Shape,
    handles: u64,
    seed: u64,
    now: Timestamp,
) -> io::Result<Written> {
    let out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let weights = PLANS.iter().map(|plan| plan.weight).sum();
    let random = Random(seed);
    let given = [0; PLANS.len()];
    let mut population = Population { random, out, now, weights, devices: 0, rows: 0, given };
    writeln!(population.out, "handle,account,device,platform,last_check_in_at,proved_at")?;
    let mut written = 0;
    let mut account = 0;
    while written < handles {
        account += 1;
        let email_percent = if shape == Shape::Single { EMAIL_PERCENT } else { EMAIL_ONLY_PERCENT };
        let is_email = population.random.percent(email_percent);
        let mut held = vec![if is_email { population.email(written) } else { population.phone() }];
        let may_have_both = shape == Shape::Shared && !is_email && written + 1 < handles;
        if may_have_both && population.random.percent(BOTH_PERCENT) {
            held.push(population.email(written + 1));
        }
        written += held.len() as u64;
        population.account(account, &held)?;
    }
    population.out.flush()?;
    Ok(Written { rows: population.rows, bytes: std::fs::metadata(path)?.len() })
}

impl Population {
    fn account(&mut self, account: u64, handles: &[String]) -> io::Result<()> {
        let devices = 1 + u64::from(self.random.percent(SECOND_DEVICE_PERCENT));
        let proved_at = self.earlier(3 * 365);
        for _ in 0..devices {
            self.devices += 1;
            let device = self.devices;
            let platform = PLATFORMS[self.random.below(PLATFORMS.len() as u64) as usize];
            let checked_in = self.earlier(14);
            for handle in handles {
                self.rows += 1;
                writeln!(
                    self.out,
                    "{handle},customer-{account},device-{device},{platform},{checked_in},{proved_at}"
                )?;
            }
        }
        Ok(())
    }

    /// The email address with this number. It has capitals, and some domains are internationalized.
    fn email(&mut self, number: u64) -> String {
        let domain = DOMAINS[self.random.below(DOMAINS.len() as u64) as usize];
        format!("First.Last{number}@{domain}")
    }

    /// A new phone number.
    fn phone(&mut self) -> String {
        let mut at = self.plan();
        // A fifth of each plan stays unused: in many countries a subscriber number cannot begin with 0 or 1.
        let span = |plan: &Plan| 10_u64.pow(plan.free_digits) / 10 * 8;
        while self.given[at] >= span(&PLANS[at]) {
            at = self.plan();
        }
        let plan = &PLANS[at];
        // The factor is coprime with the span, so the numbers are mixed and all differ.
        let digits = span(plan) / 4 + self.given[at] * 7_654_321 % span(plan);
        self.given[at] += 1;
        format!("{}{digits:0width$}", plan.prefix, width = plan.free_digits as usize)
    }

    fn plan(&mut self) -> usize {
        let mut left = self.random.below(self.weights);
        PLANS
            .iter()
            .position(|plan| {
                let is_met = left < plan.weight;
                left = left.saturating_sub(plan.weight);
                is_met
            })
            .unwrap_or_default()
    }

    /// A random instant within the past `days`, in whole seconds.
    fn earlier(&mut self, days: u64) -> String {
        let ago = self.random.below(days * 24 * 3600);
        let at = Timestamp::from_secs(self.now.as_secs() - ago).to_string();
        format!("{}Z", &at[..19])
    }
}
