//! The corpus through proxies that keep connections to the server open, so that what one request leaves on such a connection
//! would be read as the next one.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{
    corpus::{CASES, LAST},
    statuses,
};
use crate::{
    harness::{Server, own_port, wait_until},
    repository::debian_program,
};

/// A proxy before the phones' listener. Dropping it kills the process.
struct Proxy {
    child: Child,
    address: String,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts a proxy by `command`, which gets a folder for its files, its port, and the address of the server.
    fn start(
        folder: &Path,
        server: &Server,
        command: impl FnOnce(&Path, u16, &str) -> Command,
    ) -> Self {
        let port = own_port();
        let mut command = command(folder, port, server.phones.trim_start_matches("http://"));
        let output = fs::File::create(folder.join("output")).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().expect("the proxy starts");
        let address = format!("127.0.0.1:{port}");
        let proxy = Self { child, address };
        wait_until("the proxy listens", || std::net::TcpStream::connect(&proxy.address).is_ok());
        proxy
    }
}

fn nginx(folder: &Path, port: u16, server: &str) -> Command {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let path = folder.display();
    let temporary = temporary.map(|kind| format!("{kind}_temp_path {path}/{kind};\n")).concat();
    let file = folder.join("nginx.conf");
    let text = format!(
        "daemon off;\nmaster_process off;\npid {path}/pid;\nerror_log {path}/error.log;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}upstream phones {{ server {server}; keepalive 4; }}\n\
         server {{ listen 127.0.0.1:{port};\nlocation / {{\nproxy_pass http://phones;\nproxy_http_version 1.1;\n\
         proxy_request_buffering off;\nproxy_set_header Connection \"\";\nproxy_set_header Host $host;\n}} }} }}\n"
    );
    fs::write(&file, text).unwrap();
    let mut nginx = debian_program("usr/sbin/nginx");
    nginx.arg("-p").arg(folder).arg("-c").arg(file).arg("-e").arg(folder.join("error.log"));
    nginx
}

fn haproxy(folder: &Path, port: u16, server: &str) -> Command {
    let file = folder.join("haproxy.cfg");
    let text = format!(
        "defaults\n mode http\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n http-reuse always\n\
         listen phones\n bind 127.0.0.1:{port}\n server one {server}\n"
    );
    fs::write(&file, text).unwrap();
    let mut haproxy = debian_program("usr/sbin/haproxy");
    haproxy.arg("-db").arg("-f").arg(file);
    haproxy
}

fn caddy(folder: &Path, port: u16, server: &str) -> Command {
    let file = folder.join("Caddyfile");
    let text = format!(
        "{{\n\tadmin off\n\tauto_https off\n}}\nhttp://:{port} {{\n\tbind 127.0.0.1\n\treverse_proxy {server}\n}}\n"
    );
    fs::write(&file, text).unwrap();
    let mut caddy = debian_program("usr/bin/caddy");
    caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    caddy.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    caddy
}

/// Requests with a path and a method that none of the cases sends by itself, so far.
async fn smuggled(server: &Server) -> u64 {
    let metrics = server.scrape().send().await.unwrap().text().await.unwrap();
    let is_smuggled =
        |line: &&str| line.contains("listener=\"phones\"") && line.contains("status=\"405\"");
    let counts = metrics.lines().filter(is_smuggled);
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Each answer of `PUT /livez` must be one that the client got: then the proxy took it for a request of its own, too.
async fn smuggles_nothing(command: impl FnOnce(&Path, u16, &str) -> Command) {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(folder.path(), &server, command);
    assert_eq!(statuses(&proxy.address, LAST), [200]);
    let (mut faults, mut before) = (Vec::new(), 0);
    for (name, request, _) in CASES {
        let answers = statuses(&proxy.address, &[*request, LAST].concat());
        let seen = answers.iter().filter(|status| **status == 405).count() as u64;
        let count = smuggled(&server).await;
        if count != before + seen {
            faults.push(format!("{name}: {answers:?}, and {} requests", count - before));
        }
        before = count;
    }
    // What was left on a connection would come before this.
    for _ in 0..8 {
        assert_eq!(statuses(&proxy.address, LAST), [200]);
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn nothing_is_smuggled_through_nginx() {
    smuggles_nothing(nginx).await;
}

#[tokio::test]
async fn nothing_is_smuggled_through_haproxy() {
    smuggles_nothing(haproxy).await;
}

#[tokio::test]
async fn nothing_is_smuggled_through_caddy() {
    smuggles_nothing(caddy).await;
}
