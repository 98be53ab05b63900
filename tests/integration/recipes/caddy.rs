//! Caddy.

use std::{fs, path::Path, process::Command};

use super::{Authority, PROXY_ONLY, Proxy, is_reported_if_it_is_not_trusted, server, serves};
use crate::{
    harness::own_port,
    repository::{debian_program, text},
};

/// The recipe with both listeners, for a proxy on `ports` before a server on `upstreams`.
fn caddy(folder: &Path, authority: &Authority, ports: [u16; 2], upstreams: [u16; 2]) -> Command {
    let tls = |text: &str| {
        // A public name has a certificate of Let's Encrypt. This one has ours.
        let (cert, key) = (authority.cert.display(), authority.key.display());
        text.replace("\ttls {\n", &format!("\ttls {cert} {key} {{\n"))
    };
    let operators = text("config/caddy/dispatchd-operators.caddy")
        .replace("dispatch-operators.example.org", &format!("https://localhost:{}", ports[1]))
        .replace("127.0.0.1:8081", &format!("127.0.0.1:{}", upstreams[1]))
        .replace("/etc/caddy/operators-ca.pem", authority.ca.to_str().unwrap());
    let imported = folder.join("dispatchd-operators.caddy");
    fs::write(&imported, tls(&operators)).unwrap();
    let phones = text("config/caddy/Caddyfile")
        .replace(
            "# import /etc/caddy/dispatchd-operators.caddy",
            &format!("import {}", imported.display()),
        )
        .replace(
            "dispatch.example.org {\n",
            &format!("https://localhost:{} {{\n\ttls {{\n\t}}\n", ports[0]),
        )
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", upstreams[0]))
        // The ports of its own interface and of redirections would be those of every Caddy.
        .replacen(
            "{\n",
            &format!("{{\n\tadmin 127.0.0.1:{}\n\tauto_https disable_redirects\n", own_port()),
            1,
        );
    let file = folder.join("Caddyfile");
    fs::write(&file, tls(&phones)).unwrap();
    let mut caddy = debian_program("usr/bin/caddy");
    caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    // Its own state, and no ACME: the certificate is there.
    caddy.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    caddy
}

#[tokio::test]
async fn the_recipe_for_caddy_serves_phones_and_operators() {
    let (mut server, _folder, upstreams) = server(PROXY_ONLY).await;
    let proxy = Proxy::start(|folder, authority, ports| caddy(folder, authority, ports, upstreams));
    serves(&proxy.await, &mut server).await;
}

#[tokio::test]
async fn a_caddy_that_is_not_trusted_is_reported() {
    let (server, _folder, upstreams) = server("[]").await;
    let proxy = Proxy::start(|folder, authority, ports| caddy(folder, authority, ports, upstreams));
    is_reported_if_it_is_not_trusted(&proxy.await, &server).await;
}
