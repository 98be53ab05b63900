//! A Prometheus process with the repository's configuration and rules.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    harness::{PATIENCE, client, own_port},
    repository::{self, debian_program},
};

/// The lines of `prometheus.yml` that a test replaces.
const TOKEN_FILE: &str = "/etc/prometheus/dispatchd.token";
const TARGETS: &str = r#"["127.0.0.1:8081"]"#;
const INTERVALS: [&str; 2] = ["scrape_interval: 15s", "evaluation_interval: 15s"];

/// Copies configuration and rules to a folder, with a token in a file and these targets. Returns the configuration's path.
pub(super) fn configuration(folder: &Path, token: &str, targets: &[String]) -> PathBuf {
    let token_file = folder.join("token");
    // With the end of the line that `dispatchd operator add` prints.
    fs::write(&token_file, format!("{token}\n")).unwrap();
    let targets = serde_json::to_string(targets).unwrap();
    let mut text = repository::text("config/prometheus/prometheus.yml");
    let quick = INTERVALS.map(|line| (line, line.replace("15s", "1s")));
    let replaced = [(TOKEN_FILE, token_file.to_str().unwrap().to_owned()), (TARGETS, targets)];
    for (from, to) in quick.into_iter().chain(replaced) {
        assert!(text.contains(from), "prometheus.yml lacks {from}");
        text = text.replace(from, &to);
    }
    let path = folder.join("prometheus.yml");
    fs::write(&path, text).unwrap();
    fs::write(folder.join("alerts.yml"), repository::text("config/prometheus/alerts.yml")).unwrap();
    path
}

/// A running Prometheus. Dropping it kills the process.
pub(super) struct Prometheus {
    child: Child,
    url: String,
    client: Client,
    folder: TempDir,
}

impl Prometheus {
    /// Starts Prometheus, which reads `targets` each second with `token`.
    pub(super) async fn start(token: &str, targets: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = configuration(folder.path(), token, targets);
        let address = format!("127.0.0.1:{}", own_port());
        let output = File::create(folder.path().join("output")).unwrap();
        let mut command = debian_program("usr/bin/prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        let child = command.spawn().expect("Prometheus starts");
        let client = client().build().unwrap();
        let mut prometheus = Self { child, url: format!("http://{address}"), client, folder };
        prometheus.wait_until_ready().await;
        prometheus
    }

    async fn wait_until_ready(&mut self) {
        let started = Instant::now();
        loop {
            let ready = self.client.get(format!("{}/-/ready", self.url)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let has_ended = self.child.try_wait().unwrap().is_some();
            assert!(!has_ended && started.elapsed() < PATIENCE, "{}", self.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// What a call of Prometheus's API returns, or its error.
    pub(super) async fn get(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Value, String> {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/{path}", self.url)).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        let answer = self.client.get(url).timeout(PATIENCE).send().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].clone()),
            _ => Err(answer["error"].to_string()),
        }
    }

    /// The series that an expression gives now: labels and value of each.
    pub(super) async fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let data = self.get("query", &[("query", expression)]).await?;
        assert_eq!(data["resultType"], "vector", "{expression}");
        Ok(data["result"].as_array().unwrap().clone())
    }

    /// Waits until an expression gives a number of series.
    pub(super) async fn wait_for(&self, series: usize, expression: &str) {
        let started = Instant::now();
        loop {
            let given = self.query(expression).await.unwrap();
            if given.len() == series {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "waited in vain for {series} series of {expression}; it gives {given:?}\n{}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
