//! Blocks that no test runs.

use super::document::documents;

/// Each block of the kind `sh by-hand`: its document, its first line, and why no test can run it. Sorted.
const BY_HAND: &[(&str, &str, &str)] = &[
    (
        "docs/CONTRIBUTING.md",
        "cargo fmt --check",
        "minutes of a compiler; the long test of `contributors` runs it in a copy",
    ),
    (
        "docs/CONTRIBUTING.md",
        "cargo install cargo-deny --locked",
        "needs crates.io, and GitHub for the advisories; supply_chain runs the other checks",
    ),
    (
        "docs/CONTRIBUTING.md",
        "cargo install cargo-fuzz --locked",
        "needs crates.io, and builds everything for the fuzzer",
    ),
    (
        "docs/CONTRIBUTING.md",
        "config/sbom > dispatchd.cdx.json",
        "needs the repository; supply_chain runs it",
    ),
    ("docs/CONTRIBUTING.md", "cp Cargo.lock fuzz/Cargo.lock", "changes the repository"),
    (
        "docs/CONTRIBUTING.md",
        r#"sed -i 's/ *assert_eq!(config.validate().unwrap_err().0, "retention");/&\n        assert!(config.validate().unwrap_err().1.contains("2h or longer"));/' src/query_log/config.rs"#,
        "minutes of a compiler; the long test of `contributors` runs it in a copy",
    ),
    (
        "docs/CONTRIBUTING.md",
        "sed -i 's/must be at least 2h: /must be 2h or longer: /' src/query_log/config.rs",
        "minutes of a compiler; the long test of `contributors` runs it in a copy",
    ),
    (
        "docs/client.md",
        "cargo new phone",
        "needs a project of the reader; clients_rust builds and runs the program",
    ),
    (
        "docs/client.md",
        "npm install --prefix dispatchd/clients/typescript",
        "needs npm's registry; clients_typescript installs the package without it",
    ),
    (
        "docs/client.md",
        "npm install openapi-typescript@7 openapi-fetch@0.17 typescript@5",
        "needs npm's registry; the runner gives the document the packages of tests/tools/node",
    ),
    (
        "docs/client.md",
        "python3 -m venv venv",
        "needs PyPI; the runner gives the document the packages of tests/tools/requirements.txt",
    ),
    (
        "docs/operators/abuse.md",
        "cargo test --release --test attack -- --long",
        "minutes of a compiler and of a simulation; `tests/run` runs the short form",
    ),
    (
        "docs/operators/cluster.md",
        "DISPATCHD_TOKEN=$(sudo -u dispatchd dispatchd operator add ann --role admin --config /etc/dispatchd/dispatchd.toml)",
        "needs root on three machines; `nodes` and `clustered` run the commands",
    ),
    (
        "docs/operators/cluster.md",
        "apt install --yes etcd-server",
        "needs root on three machines; `nodes` and `clustered` run the commands",
    ),
    (
        "docs/operators/cluster.md",
        "dispatchd clock trust --config /etc/dispatchd/dispatchd.toml",
        "needs root on three machines; `nodes` and `clustered` run the commands",
    ),
    (
        "docs/operators/cluster.md",
        "etcdctl --endpoints http://10.0.0.1:2379 member list",
        "needs root on three machines; `nodes` and `clustered` run the commands",
    ),
    (
        "docs/operators/cluster.md",
        "sudo -u dispatchd dispatchd cluster invite b --config /etc/dispatchd/dispatchd.toml \\",
        "needs root on three machines; `nodes` and `clustered` run the commands",
    ),
    (
        "docs/operators/cluster.md",
        "sudo -u dispatchd dispatchd cluster recover --config /etc/dispatchd/dispatchd.toml",
        "needs root on three machines; `nodes` and `clustered` run the commands",
    ),
    (
        "docs/operators/cluster.md",
        "sudo -u dispatchd dispatchd cluster remove c --config /etc/dispatchd/dispatchd.toml",
        "needs root on three machines; `nodes` and `clustered` run the commands",
    ),
    (
        "docs/operators/cluster.md",
        "systemctl stop dispatchd",
        "needs root on three machines; `nodes` and `clustered` run the commands",
    ),
    (
        "docs/operators/cluster.md",
        "systemctl stop dispatchd && rm --recursive /var/lib/dispatchd/*",
        "needs root on three machines; `nodes` and `clustered` run the commands",
    ),
    (
        "docs/operators/cluster.md",
        "systemctl stop etcd && rm --recursive --force /var/lib/etcd/default",
        "needs root on three machines; `nodes` and `clustered` run the commands",
    ),
    (
        "docs/operators/console.md",
        "ssh -N -L 8081:127.0.0.1:8081 dispatch.example.org",
        "needs a second machine",
    ),
    (
        "docs/operators/deploy.md",
        "DISPATCHD_TOKEN=$(sudo -u dispatchd dispatchd operator add ann --role reader --data /var/lib/dispatchd)",
        "it needs root; packages::debian runs it in a root of its own",
    ),
    (
        "docs/operators/deploy.md",
        "NAME=dispatch.example.org",
        "it needs root; packages::debian runs it in a root of its own",
    ),
    (
        "docs/operators/deploy.md",
        r#"TOKEN=$(curl --silent --show-error --fail --json '{"platform":"other"}' "https://$NAME/v1/devices" \"#,
        "it needs root; packages::debian runs it in a root of its own",
    ),
    (
        "docs/operators/deploy.md",
        "cargo build --release --locked",
        "it takes minutes; config/debian/build runs in packages::debian",
    ),
    (
        "docs/operators/deploy.md",
        "cd config/compose",
        "it needs a container engine; packages::containers checks the files",
    ),
    (
        "docs/operators/deploy.md",
        "docker build --tag dispatchd:0.5.0 .",
        "it needs a container engine; packages::containers checks the files",
    ),
    (
        "docs/operators/deploy.md",
        "sudo apt install --yes ./dispatchd_*.deb",
        "it needs root; packages::debian runs it in a root of its own",
    ),
    (
        "docs/operators/deploy.md",
        "sudo apt install --yes prometheus",
        "it needs root; packages::debian runs it in a root of its own",
    ),
    (
        "docs/operators/deploy.md",
        "sudo install --directory --owner dispatchd --mode 0700 /etc/dispatchd/tls",
        "it needs root and a certificate of a public name; tls::certificate replaces the files in the same way",
    ),
    (
        "docs/operators/deploy.md",
        "sudo nginx -t && sudo systemctl reload nginx",
        "it needs systemd and root; recipes::nginx runs the recipe",
    ),
    (
        "docs/operators/deploy.md",
        r#"sudo sed -i 's|^trusted_proxies = .*|trusted_proxies = ["127.0.0.1/32"]|' /etc/dispatchd/dispatchd.toml"#,
        "it needs root; packages::debian runs it in a root of its own",
    ),
    (
        "docs/operators/deploy.md",
        r#"until curl --silent 'http://127.0.0.1:9090/api/v1/query?query=up' | grep --quiet '"1"'; do sleep 1; done"#,
        "it needs root; packages::debian runs it in a root of its own",
    ),
    (
        "docs/operators/runbooks.md",
        "openssl x509 -noout -subject -enddate -in /etc/dispatchd/tls/certificate.pem",
        "it needs the service and its certificate",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo -u dispatchd dispatchd registry import /var/lib/dispatchd-move/accounts.csv --data /var/lib/dispatchd",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo apt install --yes --allow-downgrades ./dispatchd_OLD_amd64.deb",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo apt install --yes --allow-downgrades ./dispatchd_OLD_amd64.deb",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo apt install --yes ./dispatchd_0.5.0_amd64.deb",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo apt install --yes ./dispatchd_NEW_amd64.deb",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo apt install --yes ./dispatchd_NEW_amd64.deb",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo mv /var/lib/dispatchd /var/lib/dispatchd-old",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo rm -r /var/lib/dispatchd-move",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo rm -r /var/lib/dispatchd-old",
        "it deletes a directory after 30 days, as root",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo systemctl start dispatchd",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo systemctl start dispatchd",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo systemctl stop dispatchd",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo systemctl stop dispatchd",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo systemctl stop dispatchd",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
    (
        "docs/operators/upgrade.md",
        "sudo systemctl stop dispatchd",
        "it needs root; packages::upgrade runs it in a root of its own",
    ),
];

#[test]
fn each_block_that_is_not_run_has_a_reason() {
    let documents = documents();
    let blocks = documents.iter().flat_map(|document| {
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        document.of_kind("sh by-hand").map(move |b| (document.name.clone(), first(&b.text)))
    });
    let mut found: Vec<_> = blocks.collect();
    found.sort();
    let listed: Vec<_> =
        BY_HAND.iter().map(|(name, line, _)| ((*name).to_owned(), (*line).to_owned())).collect();
    assert_eq!(found, listed, "left: in the documents; right: in BY_HAND of {}", file!());
    assert!(BY_HAND.iter().all(|(_, _, reason)| reason.len() > 10));
}
