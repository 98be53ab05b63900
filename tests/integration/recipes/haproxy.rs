//! haproxy, which passes TCP on and names the phone by the PROXY protocol: the block of `docs/operators/deploy.md`. Only the two
//! addresses are replaced.

use std::{
    fs,
    process::{Child, Stdio},
};

use reqwest::{Method, StatusCode};

use super::CLIENT;
use crate::{
    docs::document,
    harness::{PATIENCE, Server, client, json_of, own_port, wait_until},
    repository::debian_program,
};

/// From where haproxy connects. What the tests send directly comes from 127.0.0.1.
const BALANCER: &str = "127.0.0.2";

/// Dropping it kills the process.
struct Haproxy(Child);

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_block_for_haproxy_names_the_phone() {
    let section =
        document("docs/operators/deploy.md").section("### A load balancer with the PROXY protocol");
    let named = format!("[\"{BALANCER}/32\"]");
    let server = Server::start_with(&[("SERVER__PROXY_PROTOCOL_FROM", &named)]).await;
    let ann = server.sign_up().await;
    let reader = server.operator_token("reader", "reader");

    let (folder, port) = (tempfile::tempdir().unwrap(), own_port());
    let block = section.of_kind("haproxy").next().expect("a block for haproxy");
    let mut text = block.text.clone() + "\n";
    let upstream = server.phones.trim_start_matches("http://");
    for (shown, here) in [
        ("bind :8080", format!("bind 127.0.0.1:{port}")),
        ("10.0.0.8:8080 ", format!("{upstream} source {BALANCER} ")),
    ] {
        assert!(text.contains(shown), "{text}");
        text = text.replace(shown, &here);
    }
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    let output = fs::File::create(folder.path().join("output")).unwrap();
    let mut command = debian_program("usr/sbin/haproxy");
    command.arg("-db").arg("-f").arg(file);
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let _haproxy = Haproxy(command.spawn().expect("haproxy starts"));
    let address = format!("127.0.0.1:{port}");
    wait_until("haproxy listens", || std::net::TcpStream::connect(&address).is_ok());

    let phone = client().local_address(Some(CLIENT.parse().unwrap())).timeout(PATIENCE).build();
    let url = format!("http://{address}/v1/lookup/%2B14155550123");
    let lookup = phone.unwrap().request(Method::GET, url).bearer_auth(&ann.token);
    let (status, answer) = json_of(lookup).await;
    let output = || fs::read_to_string(folder.path().join("output")).unwrap_or_default();
    assert_eq!(status, StatusCode::OK, "{answer} {}", output());
    let records = server.records(&reader, "kind=lookup").await;
    assert!(records.len() == 1 && records[0]["ip"] == CLIENT, "{records:?}");
    // Its health checks have the header, too: the server has refused nothing.
    let metrics = server.scrape().send().await.unwrap().text().await.unwrap();
    let refused = metrics.lines().filter(|line| {
        line.starts_with("dispatchd_http_connections_refused_total{") && !line.ends_with(" 0")
    });
    assert_eq!(refused.collect::<Vec<_>>(), Vec::<&str>::new());
}
