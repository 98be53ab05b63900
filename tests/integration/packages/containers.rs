//! The container files. No engine runs here, so what can be checked without one is checked: the files and names that they refer
//! to exist, and nothing runs as root.

use std::{path::Path, process::Command};

use serde_json::{Map, Value};

use crate::{
    harness::run,
    python::python,
    repository::{ROOT, debian_program, file, text},
};

const FOLDER: &str = "config/compose";

/// A file in YAML.
fn yaml(name: &str) -> Value {
    let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let output = run(Command::new(python()).args(["-c", script]).arg(file(name)));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn object<'a>(value: &'a Value, key: &str) -> &'a Map<String, Value> {
    value[key].as_object().unwrap_or_else(|| panic!("no {key} in {value}"))
}

#[test]
fn every_service_is_confined_and_what_it_names_exists() {
    let compose = yaml("config/compose/compose.yaml");
    let services = object(&compose, "services");
    assert_eq!(services.keys().collect::<Vec<_>>(), ["dispatchd", "grafana", "prometheus"]);
    for (name, service) in services {
        let ids = service["user"].as_str().unwrap().split(':').map(str::parse::<u32>);
        assert!(ids.into_iter().all(|id| id.unwrap() > 0), "{name}");
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        // Nothing is reached from other machines but by a proxy.
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
        for secret in texts(&service["secrets"]) {
            assert!(object(&compose, "secrets").contains_key(secret), "{name}: {secret}");
        }
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            if source.starts_with('.') {
                // The dashboard and the rules are files of this repository, too.
                assert!(file(FOLDER).join(source).is_file(), "{name}: {source}");
                assert!(volume.ends_with(":ro"), "{name}: {volume}");
            } else {
                assert!(object(&compose, "volumes").contains_key(source), "{name}: {source}");
            }
        }
    }
    // The token is where the configuration looks for it, and the proxy is the gateway.
    let config = text("config/compose/prometheus.yml");
    assert!(config.contains("credentials_file: /run/secrets/metrics-token\n"));
    let gateway = &compose["networks"]["inside"]["ipam"]["config"][0]["gateway"];
    let trusted = &services["dispatchd"]["environment"]["DISPATCHD_SERVER__TRUSTED_PROXIES"];
    assert_eq!(trusted, &format!("[\"{}/32\"]", gateway.as_str().unwrap()));
}

#[test]
fn the_compose_file_of_a_cluster_has_three_members_that_find_each_other() {
    let compose = yaml("config/compose/cluster.yaml");
    let services = object(&compose, "services");
    let names: Vec<_> = services.keys().collect();
    assert_eq!(names, ["etcd-a", "etcd-b", "etcd-c", "node-a", "node-b", "node-c", "store"]);
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert!(texts(&service["ports"]).iter().all(|port| port.starts_with("127.0.0.1:")));
        let volumes = texts(&service["volumes"]);
        assert!(volumes[0].starts_with(&format!("{name}:/var/lib/")), "{name}: {volumes:?}");
        assert!(object(&compose, "volumes").contains_key(name), "{name}");
        let environment = object(service, "environment");
        let has = |key: &str, text: &str| {
            let value = environment[key].as_str().unwrap();
            assert!(value.contains(text), "{name}: {key} = {value}");
        };
        match name.split_once('-').unwrap_or((name, "")) {
            ("store", _) => {
                // The nodes show its key, and their bucket is made before it serves.
                let key = |node: &str, key: &str| services[node]["environment"][key].clone();
                assert_eq!(environment["MINIO_ROOT_USER"], key("node-a", "AWS_ACCESS_KEY_ID"));
                assert_eq!(
                    environment["MINIO_ROOT_PASSWORD"],
                    key("node-a", "AWS_SECRET_ACCESS_KEY")
                );
                let made = texts(&service["entrypoint"]).join(" ");
                assert!(made.contains("mkdir -p /var/lib/minio/logs"), "{made}");
            }
            ("etcd", _) => {
                has("ETCD_INITIAL_CLUSTER", &format!("{name}=http://{name}:2380"));
                has("ETCD_INITIAL_ADVERTISE_PEER_URLS", &format!("http://{name}:2380"));
                has("ETCD_ADVERTISE_CLIENT_URLS", &format!("http://{name}:2379"));
                has("ETCD_AUTO_COMPACTION_RETENTION", "5m");
            }
            (_, node) => {
                assert_eq!(service["user"], "10001:10001", "{name}");
                has("DISPATCHD_CLUSTER__NODE", node);
                has("DISPATCHD_CLUSTER__ADDRESS", &format!("http://{name}:8081"));
                has("DISPATCHD_SERVER__HOSTS", &format!("\"{name}\""));
                has("DISPATCHD_LOG__STORE__URL", "s3://logs/");
                has("DISPATCHD_LOG__STORE__ENDPOINT", "http://store:9000");
                for member in ["etcd-a", "etcd-b", "etcd-c"] {
                    has("DISPATCHD_CLUSTER__ENGINE", &format!("http://{member}:2379"));
                }
            }
        }
    }
}

#[test]
fn prometheus_takes_its_configuration() {
    let mut promtool = debian_program("usr/bin/promtool");
    let config = file("config/compose/prometheus.yml");
    // The files that it names are those of the container.
    let output = run(promtool.args(["check", "config", "--syntax-only"]).arg(config));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn grafana_finds_its_source_and_its_dashboard() {
    let source = &yaml("config/compose/grafana/datasources.yaml")["datasources"][0];
    assert_eq!(source["url"], "http://prometheus:9090");
    let folder =
        yaml("config/compose/grafana/dashboards.yaml")["providers"][0]["options"]["path"].clone();
    let compose = yaml("config/compose/compose.yaml");
    let volumes = texts(&compose["services"]["grafana"]["volumes"]).join("\n");
    assert!(
        volumes.contains(&format!(":{}/dispatchd.json:ro", folder.as_str().unwrap())),
        "{volumes}"
    );
}

/// The instructions of the Dockerfile, with continued lines joined.
fn instructions() -> Vec<String> {
    let text = text("Dockerfile");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    joined.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_image_runs_as_a_number_and_has_the_version_of_the_crate() {
    let instructions = instructions();
    let has = |line: &str| instructions.iter().any(|found| found == line);
    assert!(has("USER 10001:10001"));
    let version = format!("org.opencontainers.image.version=\"{}\"", env!("CARGO_PKG_VERSION"));
    let label = instructions.iter().find(|line| line.starts_with("LABEL ")).unwrap();
    assert!(label.contains(&version), "{label}");
    // The context holds every file that is copied from it.
    let context = text(".dockerignore");
    for copied in
        instructions.iter().filter(|line| line.starts_with("COPY ") && !line.contains("--from"))
    {
        let words: Vec<_> = copied.split_whitespace().collect();
        for source in &words[1..words.len() - 1] {
            assert!(file(source).exists() && context.contains(&format!("!{source}\n")), "{source}");
        }
    }
}

/// The step that builds the dependencies makes an empty source for each target of Cargo.toml. Without one of them cargo fails.
#[test]
fn the_layer_of_dependencies_has_a_source_for_each_target() {
    let step = instructions().into_iter().find(|line| line.contains("touch src/lib.rs")).unwrap();
    let make = step.trim_start_matches("RUN ").split("&& cargo").next().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    for name in ["Cargo.toml", "Cargo.lock", "clients/rust"] {
        let mut copy = Command::new("cp");
        copy.args(["--recursive", "--parents", name]).arg(folder.path());
        assert!(run(copy.current_dir(ROOT)).status.success(), "{name}");
    }
    assert!(
        run(Command::new("sh").args(["-ec", &make]).current_dir(folder.path())).status.success()
    );
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--locked", "--no-deps", "--offline", "--format-version", "1"]);
    let output = run(metadata.current_dir(folder.path()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(packages.len(), 2);
    for target in packages.iter().flat_map(|package| package["targets"].as_array().unwrap()) {
        assert!(Path::new(target["src_path"].as_str().unwrap()).is_file(), "{target}");
    }
}

/// The check of the image's health, run by the shell that the image has.
#[tokio::test]
async fn the_health_check_tells_a_ready_server_from_none() {
    let line = instructions().into_iter().find(|line| line.starts_with("HEALTHCHECK ")).unwrap();
    let words = line.split_once("CMD ").unwrap().1;
    let words: Vec<String> = serde_json::from_str(words).unwrap();
    let server = crate::harness::Server::start().await;
    let port = server.phones.rsplit(':').next().unwrap();
    let closed = crate::harness::own_port().to_string();
    for (port, is_healthy) in [(port, true), (&*closed, false)] {
        let script = words[2].replace("/8080", &format!("/{port}"));
        assert_eq!(run(Command::new("bash").args(["-c", &script])).status.success(), is_healthy);
    }
}
