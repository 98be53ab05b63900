//! Who reaches the two listeners, in the clear or not, and whose addresses the server believes.

use std::net::{Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{
    api::{Check, Finding},
    config::Config,
};

/// Judges the listeners as they are configured.
pub(super) fn judge(config: &Config) -> Vec<Finding> {
    let server = &config.server;
    let mut findings = Vec::new();
    let believed = [
        ("trusted_proxies", &server.trusted_proxies, "sends X-Forwarded-For"),
        (
            "proxy_protocol_from",
            &server.proxy_protocol_from,
            "sends a header of the PROXY protocol",
        ),
    ];
    for (key, networks, how) in believed {
        for protocol in everybody(networks) {
            findings.push(Finding::error(
                Check::Proxies,
                format!(
                    "the networks of server.{key} together hold every {protocol} address: whoever {how} chooses the address that \
                     limits and log go by"
                ),
                format!("name only the networks of your own proxies in server.{key}"),
            ));
        }
    }
    let is_proxied = !server.trusted_proxies.is_empty() || !server.proxy_protocol_from.is_empty();
    if is_reachable(server.phones) && !is_proxied && !config.tls.is_for_phones() {
        findings.push(Finding::warning(
            Check::Proxies,
            "server.phones is reachable from other machines without TLS, and no proxy is named: tokens, handles and codes cross \
             the network in the clear",
            "set tls.certificate and tls.key; or let only a TLS proxy reach server.phones, and name its network in \
             server.trusted_proxies",
        ));
    }
    if is_reachable(server.operators) && !config.tls.is_for_operators() {
        findings.push(Finding::warning(
            Check::Hosts,
            "server.operators is reachable from other machines without TLS: operators' tokens and what they read cross the network \
             in the clear",
            "set tls.certificate and tls.key, bind server.operators to a loopback address, or let only a TLS proxy reach it",
        ));
    }
    if is_reachable(server.operators) && config.telemetry.metrics_open {
        findings.push(Finding::error(
            Check::Metrics,
            "telemetry.metrics_open lets everybody who reaches server.operators read the metrics, and the counts tell about handles",
            "remove telemetry.metrics_open, and give the scraper a token: `dispatchd operator add NAME --role metrics`",
        ));
    }
    findings
}

/// Judges connections of phones whose first request named a proxy that the configuration does not name.
pub(super) fn judge_unnamed(connections: u64) -> Option<Finding> {
    (connections > 0).then(|| {
        Finding::warning(
            Check::Proxies,
            format!(
                "a proxy that server.trusted_proxies does not name sent requests, at the beginning of {connections} connections: limits \
                 and log take all phones behind it for one"
            ),
            "name the proxy's network in server.trusted_proxies; if you have none there, a client made the header up",
        )
    })
}

/// The protocols of which the networks hold every address of a client, be it by several networks. Of IPv6 that is 2000::/3: no
/// client on the internet has another address (RFC 4291 section 2.4).
fn everybody(networks: &[IpNet]) -> impl Iterator<Item = &'static str> {
    let merged = IpNet::aggregate(&networks.to_vec());
    let all = [
        ("IPv4", IpNet::from(Ipv4Net::default())),
        ("IPv6", Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3).into()),
    ];
    let is_held = move |all: &IpNet| merged.iter().any(|network| network.contains(all));
    all.into_iter().filter(move |(_, all)| is_held(all)).map(|(protocol, _)| protocol)
}

/// Whether other machines may reach the address.
fn is_reachable(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Severity;

    fn judged(change: impl FnOnce(&mut Config)) -> Vec<(Check, Severity)> {
        let mut config = Config::default();
        change(&mut config);
        judge(&config).into_iter().map(|finding| (finding.check, finding.severity)).collect()
    }

    #[test]
    fn loopback_is_good() {
        assert_eq!(judged(|_| {}), []);
        assert_eq!(judged(|config| config.telemetry.metrics_open = true), []);
        for address in ["[::1]:80", "127.1.2.3:80", "[::ffff:127.0.0.1]:80"] {
            let address: SocketAddr = address.parse().unwrap();
            let found = judged(|config| {
                (config.server.phones, config.server.operators) = (address, address);
            });
            assert_eq!(found, [], "{address}");
        }
    }

    #[test]
    fn networks_that_together_are_everybody_are_found() {
        let named = |networks: &[&str]| -> Vec<IpNet> {
            networks.iter().map(|network| network.parse().unwrap()).collect()
        };
        for (networks, protocols) in [
            (&["0.0.0.0/0"][..], &["IPv4"][..]),
            (&["128.0.0.0/1", "10.0.0.0/8", "0.0.0.0/1"], &["IPv4"]),
            (&["0.0.0.0/2", "192.0.0.0/2", "128.0.0.0/2", "64.0.0.0/3", "96.0.0.0/3"], &["IPv4"]),
            (&["::/0", "0.0.0.0/0"], &["IPv4", "IPv6"]),
            (&["8000::/1", "::/1"], &["IPv6"]),
            (&["3000::/4", "2000::/4"], &["IPv6"]),
            (&["0.0.0.0/1", "192.0.0.0/2", "2000::/4", "fc00::/7"], &[]),
            (&["10.0.0.0/8"], &[]),
            (&[], &[]),
        ] {
            let networks = named(networks);
            assert_eq!(everybody(&networks).collect::<Vec<_>>(), protocols, "{networks:?}");
            let found = judged(|config| config.server.proxy_protocol_from = networks.clone());
            assert_eq!(found, vec![(Check::Proxies, Severity::Error); protocols.len()]);
        }
    }

    #[test]
    fn a_proxy_that_was_seen_must_be_named() {
        assert_eq!(judge_unnamed(0), None);
        let found = judge_unnamed(7).unwrap();
        assert_eq!((found.check, found.severity), (Check::Proxies, Severity::Warning));
        assert!(found.what.contains("7 connections"), "{}", found.what);
    }

    #[test]
    fn what_other_machines_reach_needs_a_proxy_with_tls() {
        let all: SocketAddr = "0.0.0.0:80".parse().unwrap();
        let phones = judged(|config| config.server.phones = all);
        assert_eq!(phones, [(Check::Proxies, Severity::Warning)]);
        let behind = judged(|config| {
            config.server.phones = all;
            config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        });
        assert_eq!(behind, []);
        let operators = judged(|config| {
            config.server.operators = "192.0.2.1:80".parse().unwrap();
            config.telemetry.metrics_open = true;
        });
        assert_eq!(
            operators,
            [(Check::Hosts, Severity::Warning), (Check::Metrics, Severity::Error)]
        );
        let with_tls = judged(|config| {
            (config.server.phones, config.server.operators) = (all, all);
            config.tls.certificate = "cert.pem".into();
            config.tls.key = "key.pem".into();
        });
        assert_eq!(with_tls, []);
        let balancers = judged(|config| {
            config.server.phones = all;
            config.server.proxy_protocol_from = vec!["::/0".parse().unwrap()];
        });
        assert_eq!(balancers, [(Check::Proxies, Severity::Error)]);
        for network in ["0.0.0.0/0", "::/0"] {
            let found = judged(|config| {
                config.server.trusted_proxies =
                    ["10.0.0.0/8", network].map(|it| it.parse().unwrap()).into();
            });
            assert_eq!(found, [(Check::Proxies, Severity::Error)], "{network}");
        }
    }
}
