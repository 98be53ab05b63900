//! What the configuration makes of the service: how codes are sent, whether quotas apply, what a power cut destroys, and how many
//! connections there are.

use crate::{
    api::{Check, Finding},
    config::Config,
    limits,
    query_log::Durability,
    verification::{DeliveryMethod, OutboxKind},
};

/// What the limit of open files leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Connections that the phones' listener takes, of all its sockets together.
    pub phones: usize,
}

/// Judges the configuration.
pub(super) fn judge(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_public = !config.server.phones.ip().to_canonical().is_loopback()
        || !config.server.trusted_proxies.is_empty()
        || !config.server.proxy_protocol_from.is_empty();
    if let Some(codes) = codes_in_outbox(config) {
        if config.ownership.outbox == OutboxKind::Stdout {
            findings.push(Finding::error(
                Check::Delivery,
                format!(
                    "{codes} are printed to standard output, in the clear, where logs keep them"
                ),
                "set ownership.outbox to \"file\", or configure ownership.delivery",
            ));
        } else if is_public {
            findings.push(Finding::warning(
                Check::Delivery,
                format!("{codes} wait in the outbox in the clear, and nobody gets them unless another program sends them"),
                "configure ownership.delivery.mail and ownership.delivery.text",
            ));
        }
    }
    if !config.quota.enabled {
        findings.push(Finding::warning(
            Check::Quotas,
            "quota.enabled is false: anybody can try every handle, and fill the disk with records",
            "remove quota.enabled",
        ));
    }
    if config.log.durability == Durability::Os {
        findings.push(Finding::warning(
            Check::Durability,
            "log.durability is \"os\": a power cut destroys the records of the last seconds, whose answers have left",
            "remove log.durability, unless the machine's power is safe",
        ));
    }
    findings
}

/// Which codes go to the outbox, if any do.
fn codes_in_outbox(config: &Config) -> Option<&'static str> {
    let DeliveryMethod::Section(methods) = &config.ownership.delivery else { return Some("codes") };
    let is_outbox =
        (methods.mail == DeliveryMethod::Outbox, methods.text == DeliveryMethod::Outbox);
    match is_outbox {
        (true, true) => Some("codes"),
        (true, false) => Some("codes to e-mail addresses"),
        (false, true) => Some("codes to phone numbers"),
        (false, false) => None,
    }
}

/// Judges what the limit of open files leaves.
pub(super) fn judge_connections(connections: Connections) -> Option<Finding> {
    let (found, few) = (connections.phones, limits::CONNECTIONS_FEW);
    (found < few).then(|| {
        Finding::warning(
            Check::Descriptors,
            format!("the limit of open files leaves the phones' listener {found} connections, fewer than {few}"),
            "raise it with LimitNOFILE= in the systemd unit, or with `ulimit -n`, and restart the server",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::Severity,
        verification::{DeliveryMethods, MailConfig, TextConfig},
    };

    fn judged(change: impl FnOnce(&mut Config)) -> Vec<(Check, Severity, String)> {
        let mut config = Config::default();
        change(&mut config);
        let found = judge(&config).into_iter();
        found.map(|finding| (finding.check, finding.severity, finding.what)).collect()
    }

    fn public(config: &mut Config) {
        config.server.phones = "0.0.0.0:8080".parse().unwrap();
    }

    #[test]
    fn each_setting_that_costs_something_is_found() {
        assert_eq!(judged(|_| {}), []);
        for (change, check, severity) in [
            (public as fn(&mut Config), Check::Delivery, Severity::Warning),
            (
                |it| it.server.trusted_proxies = vec!["10.0.0.1/32".parse().unwrap()],
                Check::Delivery,
                Severity::Warning,
            ),
            (|it| it.ownership.outbox = OutboxKind::Stdout, Check::Delivery, Severity::Error),
            (|it| it.quota.enabled = false, Check::Quotas, Severity::Warning),
            (|it| it.log.durability = Durability::Os, Check::Durability, Severity::Warning),
        ] {
            let found = judged(change);
            let [(found_check, found_severity, _)] = &*found else { panic!("{found:?}") };
            assert_eq!((*found_check, *found_severity), (check, severity));
        }
    }

    #[test]
    fn codes_that_stay_in_the_outbox_are_named() {
        let mail = || DeliveryMethod::Section(MailConfig::default());
        let text = || DeliveryMethod::Section(TextConfig::default());
        for (mail, text, begins) in [
            (mail(), DeliveryMethod::Outbox, Some("codes to phone numbers wait")),
            (DeliveryMethod::Outbox, text(), Some("codes to e-mail addresses wait")),
            (DeliveryMethod::Outbox, DeliveryMethod::Outbox, Some("codes wait")),
            (mail(), text(), None),
        ] {
            let found = judged(|config| {
                public(config);
                config.ownership.delivery = DeliveryMethod::Section(DeliveryMethods { mail, text });
            });
            let what = found.first().map(|(.., what)| what.as_str());
            assert_eq!(what.is_some(), begins.is_some(), "{what:?}");
            assert!(what.unwrap_or_default().starts_with(begins.unwrap_or_default()), "{what:?}");
        }
    }

    #[test]
    fn few_connections_are_a_finding() {
        let of = |phones| judge_connections(Connections { phones });
        assert_eq!(of(limits::CONNECTIONS_FEW), None);
        let what = of(limits::CONNECTIONS_FEW - 1).unwrap().what;
        assert!(what.contains("999 connections"), "{what}");
    }
}
