//! The recipes for a TLS proxy in `config/`, run by the real programs of Debian. Only names, addresses and the paths of
//! certificates and logs are replaced.
//!
//! The client has the address 127.0.0.7, and the proxy reaches dispatchd from 127.0.0.1: so a record tells which of them it names.

pub(crate) mod authority;
mod caddy;
mod haproxy;
mod nginx;

use std::{
    fs,
    net::IpAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::{Client, Identity, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::authority::Authority;
use crate::harness::{Device, PATIENCE, Server, client, json_of, own_port};

const CLIENT: &str = "127.0.0.7";
const PROXY_ONLY: &str = r#"["127.0.0.1/32"]"#;
const IGNORED: &str = "X-Forwarded-For is ignored";

/// A proxy in front of both listeners, with their addresses `https://localhost:<port>`. Dropping it kills the process.
struct Proxy {
    child: Child,
    phones: String,
    operators: String,
    folder: TempDir,
    authority: Authority,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the proxy's output ---\n{}", self.output());
        }
    }
}

impl Proxy {
    /// Starts a proxy by `command`, which gets the folder of its files and the ports of its two listeners.
    async fn start(command: impl FnOnce(&Path, &Authority, [u16; 2]) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let ports = [own_port(), own_port()];
        let mut command = command(folder.path(), &authority, ports);
        let output = fs::File::create(folder.path().join("output")).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().expect("the proxy starts");
        let [phones, operators] = ports.map(|port| format!("https://localhost:{port}"));
        let mut proxy = Self { child, phones, operators, folder, authority };
        proxy.ready().await;
        proxy
    }

    async fn ready(&mut self) {
        let phone = self.client(None);
        let operator = self.client(Some(&self.authority.operator));
        for (client, url) in [(phone, self.phones.clone()), (operator, self.operators.clone())] {
            // It answers 502 or 404 as long as there is no server: any answer will do.
            while client.get(format!("{url}/readyz")).send().await.is_err() {
                let ended = self.child.try_wait().unwrap();
                assert!(ended.is_none(), "the proxy ended with {ended:?}:\n{}", self.output());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// A client at 127.0.0.7 that trusts the authority, and shows `certificate` if it has one.
    fn client(&self, certificate: Option<&str>) -> Client {
        let address: IpAddr = CLIENT.parse().unwrap();
        let mut client = client().local_address(address).timeout(PATIENCE);
        client = client.tls_certs_only([self.authority.certificate()]);
        if let Some(pem) = certificate {
            client = client.identity(Identity::from_pem(pem.as_bytes()).unwrap());
        }
        client.build().unwrap()
    }

    /// All that the proxy printed and wrote to logs.
    fn output(&self) -> String {
        let names = ["output", "access.log", "error.log", "dispatchd.log"];
        names
            .map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default())
            .concat()
    }

    /// A handle on `server` as it is reached through the proxy, by a client with a certificate.
    fn in_front_of(&self, server: &Server) -> Server {
        let mut through = Server::stopped(&server.data, &[]);
        (through.phones, through.operators) = (self.phones.clone(), self.operators.clone());
        through.client = self.client(Some(&self.authority.operator));
        through
    }
}

/// What a recipe must do. `server` is behind `proxy`.
async fn serves(proxy: &Proxy, server: &mut Server) {
    let through = proxy.in_front_of(server);
    let ann = through.sign_up().await;
    through.prove(&ann, "+14155550123").await;
    assert_eq!(through.route(&ann, "+14155550123").await, "imessage");
    let reader = server.operator_token("reader", "reader");
    sees_the_address(&through, server, &ann, &reader).await;
    takes_a_full_batch(&through, &ann).await;
    streams_a_tail(&through, server, &ann, &reader).await;
    asks_operators_for_a_certificate(proxy, &reader).await;
    assert!(!server.output().contains(IGNORED), "{}", server.output());
    says_nothing_personal(proxy, &through, server, &ann).await;
}

/// The log has the client's address, whatever it claims.
async fn sees_the_address(through: &Server, server: &Server, ann: &Device, reader: &str) {
    for forged in ["198.51.100.1", "198.51.100.1, 127.0.0.1"] {
        let lookup =
            through.phone(Method::GET, "/v1/lookup/%2B14155550123").bearer_auth(&ann.token);
        let (status, _) = json_of(lookup.header("x-forwarded-for", forged)).await;
        assert_eq!(status, StatusCode::OK);
    }
    let records = server.records(reader, "kind=lookup").await;
    assert_eq!(records.len(), 3, "{records:?}");
    assert!(records.iter().all(|record| record["ip"] == CLIENT), "{records:?}");
}

async fn takes_a_full_batch(through: &Server, ann: &Device) {
    let ask = |handles: Vec<String>| {
        let request = through.phone(Method::POST, "/v1/lookup").bearer_auth(&ann.token);
        json_of(request.json(&json!({"handles": handles})))
    };
    let address = |at: usize| format!("{:x<60}{at}@{:y<60}.example.org", "a", "b");
    let (status, body) = ask((0..1_000).map(address).collect()).await;
    assert_eq!((status, body["answers"].as_array().map(Vec::len)), (StatusCode::OK, Some(1_000)));
    // Too much is refused by dispatchd itself, in its own words.
    let (status, body) = ask((0..5_000).map(address).collect()).await;
    assert_eq!((status, &body["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("body-too-large")));
}

/// A record arrives while the stream is open.
async fn streams_a_tail(through: &Server, server: &Server, ann: &Device, reader: &str) {
    let mut tail = through.operator(reader, "/v1/log/tail").send().await.unwrap();
    assert_eq!(tail.status(), StatusCode::OK);
    assert_eq!(server.route(ann, "+14155550199").await, "sms");
    let mut told = String::new();
    while !told.contains("+14155550199") {
        let chunk = tail.chunk().await.unwrap().expect("the stream goes on");
        told.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

async fn asks_operators_for_a_certificate(proxy: &Proxy, reader: &str) {
    let url = format!("{}/v1/registry", proxy.operators);
    let ask = |client: Client| client.get(&url).bearer_auth(reader).send();
    let with = ask(proxy.client(Some(&proxy.authority.operator))).await.unwrap();
    assert_eq!(with.status(), StatusCode::OK);
    // Of another name, neither the proxy nor dispatchd answers.
    let operator = proxy.client(Some(&proxy.authority.operator));
    let other = operator.get(&url).header("host", "elsewhere.example.org").bearer_auth(reader);
    assert_eq!(other.send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    for certificate in [None, Some(&*proxy.authority.stranger)] {
        let without = ask(proxy.client(certificate)).await;
        let is_refused = without.is_err() || without.unwrap().status() == StatusCode::BAD_REQUEST;
        assert!(is_refused, "an operator without a certificate was let in");
    }
}

/// Neither a request that succeeds nor one that finds no server leaves a handle, an address or a token in the proxy's output.
async fn says_nothing_personal(proxy: &Proxy, through: &Server, server: &mut Server, ann: &Device) {
    assert!(server.stop().await.success());
    let lookup = through.phone(Method::GET, "/v1/lookup/%2B14155550188").bearer_auth(&ann.token);
    assert_eq!(lookup.send().await.unwrap().status(), StatusCode::BAD_GATEWAY);
    let output = proxy.output();
    for word in ["1415555", CLIENT, &ann.token] {
        assert!(!output.contains(word), "{output}");
    }
}

/// A server that listens where the recipes expect it: at ports of its own, which the proxies get.
async fn server(trusted_proxies: &str) -> (Server, TempDir, [u16; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let ports = [own_port(), own_port()];
    let [phones, operators] = ports.map(|port| format!("127.0.0.1:{port}"));
    let env = [
        ("SERVER__TRUSTED_PROXIES", trusted_proxies),
        ("SERVER__PHONES", &*phones),
        ("SERVER__OPERATORS", &*operators),
    ];
    let server = Server::on(&folder.path().join("data"), &env).await;
    (server, folder, ports)
}

/// A proxy that the configuration does not name: its word is ignored, and the server says once what to set.
async fn is_reported_if_it_is_not_trusted(proxy: &Proxy, server: &Server) {
    let through = proxy.in_front_of(server);
    let ann = through.sign_up().await;
    for _ in 0..5 {
        assert_eq!(through.route(&ann, "+14155550123").await, "sms");
    }
    let reader = server.operator_token("reader", "reader");
    let records: Vec<Value> = server.records(&reader, "kind=lookup").await;
    assert!(records.iter().all(|record| record["ip"] == "127.0.0.1"), "{records:?}");
    let output = server.output();
    assert_eq!(output.matches(IGNORED).count(), 1, "{output}");
    assert!(output.contains("add the proxy's network to server.trusted_proxies"), "{output}");
    assert!(!output.contains(CLIENT), "{output}");
}
