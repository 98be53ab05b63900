//! nginx.

use std::{fs, path::Path, process::Command};

use super::{Authority, PROXY_ONLY, Proxy, is_reported_if_it_is_not_trusted, server, serves};
use crate::repository::{debian_program, text};

/// The main file of a distribution, as far as it concerns the recipes. It logs requests, as Debian's does.
fn main_file(folder: &Path) -> String {
    let folder = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary =
        temporary.map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n")).concat();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n\
         http {{\n    access_log {folder}/access.log;\n{temporary}    include {folder}/conf.d/*.conf;\n}}\n"
    )
}

fn nginx(folder: &Path, authority: &Authority, ports: [u16; 2], upstreams: [u16; 2]) -> Command {
    fs::create_dir(folder.join("conf.d")).unwrap();
    let parts = [("dispatchd", "dispatch"), ("dispatchd-operators", "dispatch-operators")];
    for (((file, name), port), (shipped, upstream)) in
        parts.into_iter().zip(ports).zip([8_080, 8_081].into_iter().zip(upstreams))
    {
        let certificates = format!("/etc/letsencrypt/live/{name}.example.org");
        let recipe = text(&format!("config/nginx/{file}.conf"))
            .replace(&format!("{certificates}/fullchain.pem"), authority.cert.to_str().unwrap())
            .replace(&format!("{certificates}/privkey.pem"), authority.key.to_str().unwrap())
            .replace("/etc/nginx/operators-ca.pem", authority.ca.to_str().unwrap())
            .replace(&format!("{name}.example.org"), "localhost")
            .replace("/var/log/nginx/", &format!("{}/", folder.display()))
            .replace("listen 443 ", &format!("listen 127.0.0.1:{port} "))
            .replace("listen [::]:443 ", &format!("listen [::1]:{port} "))
            .replace(&format!("127.0.0.1:{shipped}"), &format!("127.0.0.1:{upstream}"));
        fs::write(folder.join(format!("conf.d/{file}.conf")), recipe).unwrap();
    }
    let main = folder.join("nginx.conf");
    fs::write(&main, main_file(folder)).unwrap();
    let mut nginx = debian_program("usr/sbin/nginx");
    nginx.arg("-p").arg(folder).arg("-c").arg(main).arg("-e").arg(folder.join("error.log"));
    nginx
}

#[tokio::test]
async fn the_recipe_for_nginx_serves_phones_and_operators() {
    let (mut server, _folder, upstreams) = server(PROXY_ONLY).await;
    let proxy = Proxy::start(|folder, authority, ports| nginx(folder, authority, ports, upstreams));
    serves(&proxy.await, &mut server).await;
}

#[tokio::test]
async fn an_nginx_that_is_not_trusted_is_reported() {
    let (server, _folder, upstreams) = server("[]").await;
    let proxy = Proxy::start(|folder, authority, ports| nginx(folder, authority, ports, upstreams));
    is_reported_if_it_is_not_trusted(&proxy.await, &server).await;
}
