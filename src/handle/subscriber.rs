//! [`Subscriber`]: one key for all handles that reach the same person, as far as spelling tells.
//!
//! Limits on messages count subscribers: a person with ten spellings must not get ten times as many messages. Two people may
//! share a key if their provider does not follow these rules. Therefore nothing is bound or answered by it.
//!
//! Sources of the rules for mail, read in November 2026:
//!
//! - a `+` and a tag: RFC 5233; Gmail, Outlook.com, iCloud, Fastmail and Proton document it for their addresses;
//! - dots, and `googlemail.com`: support.google.com/mail/answer/7436150 and /answer/10313;
//! - a `-` and a tag: Yahoo's "temporary addresses", whose base name has no dash;
//! - `tag@name.fastmail.com`: Fastmail's "subdomain addressing";
//! - `me.com` and `mac.com`: support.apple.com/en-us/102540 gives each old address its `icloud.com` one;
//! - the domains of Proton: proton.me/support/addresses-and-aliases;
//! - the domains of Yandex: yandex.com/support/domain/additional/mailbox-alias.xml. Its names may have dashes for dots.

use std::borrow::Cow;

use super::{email::EmailAddress, phone::PhoneKey};
use crate::redacted::redacted_debug;

/// What limits count messages by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Subscriber(Box<str>);

impl Subscriber {
    pub(super) fn of_number(number: PhoneKey) -> Self {
        Self(number.first_spelling().e164().as_str().into())
    }

    pub(super) fn of_address(address: &EmailAddress) -> Self {
        Self(mailbox(address).into())
    }

    /// The key. It is personal data, as the handle is.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

redacted_debug!(Subscriber);

/// How a provider reads local parts, besides the tag after a `+`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    AsTheyAre,
    /// These characters do not distinguish names.
    Without(&'static [char]),
    /// A dash begins a tag.
    DashTags,
    /// A dash is a dot.
    DashesAsDots,
}

/// The address without what does not distinguish mailboxes.
fn mailbox(address: &EmailAddress) -> String {
    // A canonical address has one `@`.
    let (local, domain) = address.as_str().rsplit_once('@').unwrap_or((address.as_str(), ""));
    if let Some((name, provider)) = domain.split_once('.')
        && matches!(provider, "fastmail.com" | "fastmail.fm")
    {
        return format!("{name}@{provider}");
    }
    let (domain, names) = provider(domain);
    let local = before(local, '+');
    let local: Cow<'_, str> = match names {
        Names::AsTheyAre => local.into(),
        Names::Without(ignored) => local.replace(ignored, "").into(),
        Names::DashTags => before(local, '-').into(),
        Names::DashesAsDots => local.replace('-', ".").into(),
    };
    format!("{local}@{domain}")
}

/// The part before `mark`, or the whole text if nothing is before it.
fn before(text: &str, mark: char) -> &str {
    text.split_once(mark).map(|(name, _)| name).filter(|name| !name.is_empty()).unwrap_or(text)
}

/// The main domain of a provider, and how it reads names.
fn provider(domain: &str) -> (&str, Names) {
    match domain {
        "gmail.com" | "googlemail.com" => ("gmail.com", Names::Without(&['.'])),
        "icloud.com" | "me.com" | "mac.com" => ("icloud.com", Names::AsTheyAre),
        "proton.me" | "protonmail.com" | "protonmail.ch" | "pm.me" => {
            ("proton.me", Names::Without(&['.', '-', '_']))
        }
        "ymail.com" | "rocketmail.com" => (domain, Names::DashTags),
        _ if domain.starts_with("yahoo.") => (domain, Names::DashTags),
        "ya.ru" => ("yandex", Names::DashesAsDots),
        _ if domain.starts_with("yandex.") => ("yandex", Names::DashesAsDots),
        _ => (domain, Names::AsTheyAre),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::handle::Handle;

    fn subscriber(text: &str) -> Subscriber {
        Handle::from_canonical(text).expect("tests use canonical handles").subscriber()
    }

    #[test]
    fn known_alias_forms_are_one_subscriber_and_other_addresses_are_not() {
        for (one, other) in [
            ("v.ictim@gmail.com", "victim+1@googlemail.com"),
            ("victim+a+b@example.com", "victim@example.com"),
            ("ann-shop@yahoo.co.uk", "ann@yahoo.co.uk"),
            ("anything@ann.fastmail.com", "ann+x@fastmail.com"),
            ("a.n-n@pm.me", "ann@protonmail.com"),
            ("a-b@ya.ru", "a.b@yandex.kz"),
            ("ann+1@outlook.com", "ann@outlook.com"),
            ("ann+1@icloud.com", "ann@icloud.com"),
            ("ann@me.com", "ann@icloud.com"),
            ("ann+1@mac.com", "ann@me.com"),
            ("+541123456789", "+5491123456789"),
            ("+551187654321", "+5511987654321"),
        ] {
            assert!(subscriber(one) == subscriber(other), "{one} {other}");
        }
        for (one, other) in [
            ("v.ictim@example.com", "victim@example.com"),
            ("ann-shop@example.com", "ann@example.com"),
            ("a.nn@me.com", "ann@icloud.com"),
            ("ann@yahoo.com", "ann@yahoo.de"),
            ("+1@example.com", "+2@example.com"),
            ("a@ann.example.com", "ann@example.com"),
            ("+14155550123", "+14155550124"),
        ] {
            assert!(subscriber(one) != subscriber(other), "{one} {other}");
        }
    }

    fn domain() -> impl Strategy<Value = &'static str> {
        let known = ["gmail.com", "yahoo.com", "pm.me", "yandex.ru", "fastmail.com", "example.org"];
        proptest::sample::select(known.to_vec())
    }

    proptest! {
        #[test]
        fn a_tag_never_makes_another_subscriber(
            name in "[a-z0-9]{1,12}", tag in "[a-z0-9]{0,8}", domain in domain(),
        ) {
            let plain = subscriber(&format!("{name}@{domain}"));
            let [tagged, other] = [format!("{name}+{tag}@{domain}"), format!("other{name}@{domain}")];
            prop_assert!(subscriber(&tagged) == plain);
            prop_assert!(subscriber(&other) != plain);
        }

        #[test]
        fn both_spellings_of_a_number_are_one_subscriber(bits in 1_000_000..10_u64.pow(15)) {
            let handle = Handle::from_canonical(&format!("+{bits}"));
            prop_assume!(handle.is_some());
            let handle = handle.expect("checked");
            for other in handle.equivalents() {
                prop_assert!(other.subscriber() == handle.subscriber());
            }
        }
    }

    #[test]
    fn debug_output_holds_no_handle() {
        assert_eq!(format!("{:?}", subscriber("ann@example.com")), "Subscriber(…)");
    }
}
