//! A real server in its own directory, and the phones and operators that use it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dispatchd::{
    clock::{Clock as _, SystemClock},
    envelope::{ChunkFile, FILE_HEADER_BYTES},
    operators::{NewOperator, Reached, Role},
    server::Addresses,
};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::openapi::described;

/// How long anything local may take before a test gives up on it. It guards against a hang and says nothing about speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `is_so`, at most [`PATIENCE`]; `what` names the condition. It blocks the thread, so whatever changes the
/// condition must run elsewhere.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A free port that no other test gets. It lies below the range from which the kernel takes ports for clients and for
/// listeners on port 0. In that range a client of a closed port may even connect to itself. Test processes that run at the same
/// time start at different ports.
pub(crate) fn own_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(50);
    let next = || first.wrapping_add(TAKEN.fetch_add(1, Ordering::SeqCst)) % 20_000;
    let mut ports = (0..20_000).map(|_| 12_000 + u16::try_from(next()).unwrap());
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).expect("one of 20,000 ports is free")
}

/// Waits while the hour is about to end: for a test whose records must lie in one segment.
pub(crate) fn avoid_end_of_hour() {
    let left = || SystemClock.now().hour(Default::default()).end().since(SystemClock.now());
    wait_until("the next hour has begun", || left() > Duration::from_secs(30));
}

/// `text` as one word for a shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A client that connects to this machine itself, whatever proxy the environment names. It speaks HTTP/1.1, in which tests send what they
/// like as `Host`.
pub(crate) fn client() -> ClientBuilder {
    Client::builder().no_proxy().http1_only()
}

/// Whether a code stands in the server's output by itself. What follows `elapsed_us` is a span, which may have six digits,
/// too.
pub(crate) fn holds_code(output: &str, code: &str) -> bool {
    let words = output.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let is_span = |at: usize| words[..at].ends_with(&["elapsed", "us"]);
    (0..words.len()).any(|at| words[at] == code && !is_span(at))
}

/// The binary under test. `TEST_BINARY` names another, such as a release build.
pub(crate) fn dispatchd() -> Command {
    let built = || env!("CARGO_BIN_EXE_dispatchd").into();
    let mut command = Command::new(std::env::var_os("TEST_BINARY").unwrap_or_else(built));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DISPATCHD_")) {
        command.env_remove(name);
    }
    command
}

/// Prints a line directly to the terminal. The test harness hides the output of passing tests.
pub(crate) fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Runs a command until it exits.
pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the binary starts")
}

/// Compiles `tests/tools/<name>.c` to a library that a server can be started with (LD_PRELOAD).
pub(crate) fn shared_library(name: &str) -> PathBuf {
    let source = format!("{}/tests/tools/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let library =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.so", std::process::id()));
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
    let compiled = run(&mut compile);
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    library
}

/// A server process. Dropping it kills the process.
pub(crate) struct Server {
    pub(crate) data: PathBuf,
    /// Settings such as `LOG__DURABILITY` and their values.
    env: Vec<(String, String)>,
    /// Variables of the process that are no settings, and their values.
    process_env: Vec<(String, String)>,
    /// The limit of its open files, if it has one of its own.
    open_files: Option<u32>,
    child: Option<Child>,
    pub(crate) phones: String,
    pub(crate) operators: String,
    pub(crate) client: Client,
    /// The token of the operator that reads metrics.
    scraper: OnceLock<String>,
    _folder: Option<TempDir>,
}

impl Server {
    /// Starts a server with a new data directory and without quotas.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with settings, such as `("LOG__DURABILITY", "os")`.
    pub(crate) async fn start_with(env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self::on(&folder.path().join("data"), env).await;
        server._folder = Some(folder);
        server
    }

    /// Starts a server on an existing data directory.
    pub(crate) async fn on(data: &Path, env: &[(&str, &str)]) -> Self {
        let mut server = Self::stopped(data, env);
        server.spawn().await;
        server
    }

    /// A server on a data directory, not yet started.
    pub(crate) fn stopped(data: &Path, env: &[(&str, &str)]) -> Self {
        let mut server = Self {
            data: data.to_owned(),
            env: Vec::new(),
            process_env: Vec::new(),
            open_files: None,
            child: None,
            phones: String::new(),
            operators: String::new(),
            client: client().build().unwrap(),
            scraper: OnceLock::new(),
            _folder: None,
        };
        server.set_env(env);
        server
    }

    /// A handle on a server that runs in this process.
    pub(crate) fn within(data: &Path, addresses: Addresses) -> Self {
        Self {
            data: data.to_owned(),
            env: Vec::new(),
            process_env: Vec::new(),
            open_files: None,
            child: None,
            phones: format!("http://{}", addresses.phones),
            operators: format!("http://{}", addresses.operators),
            client: client().build().unwrap(),
            scraper: OnceLock::new(),
            _folder: None,
        }
    }

    /// A handle on the server that `other` runs.
    pub(crate) fn at(mut self, other: &Self) -> Self {
        (self.phones, self.operators) = (other.phones.clone(), other.operators.clone());
        self
    }

    /// Stops the server with SIGTERM and starts it again.
    pub(crate) async fn restart(&mut self) {
        assert!(self.stop().await.success());
        self.spawn().await;
    }

    /// The command that starts this server, with port 0. Quotas are off, and so is shedding, because a debug build on a busy machine
    /// is late; a setting can enable them. Output goes to `<data>.log`.
    pub(crate) fn command(&self) -> Command {
        self.command_for(&["serve"])
    }

    /// Another command with the configuration of this server.
    pub(crate) fn command_for(&self, words: &[&str]) -> Command {
        let mut command = dispatchd();
        if let Some(limit) = self.open_files {
            let binary = command.get_program().to_owned();
            command = Command::new("sh");
            command.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]).arg(binary);
        }
        command
            .args(words)
            .env("DISPATCHD_SERVER__DATA", &self.data)
            .env("DISPATCHD_SERVER__PHONES", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__OPERATORS", "127.0.0.1:0")
            .env("DISPATCHD_QUOTA__ENABLED", "false")
            .env("DISPATCHD_SERVER__SHED_AFTER", "0s")
            .stdin(Stdio::null());
        for (name, value) in &self.env {
            command.env(format!("DISPATCHD_{name}"), value);
        }
        command.envs(self.process_env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The file that collects the server's messages over restarts.
    pub(crate) fn output_file(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Starts the process and waits until it answers.
    pub(crate) async fn spawn(&mut self) {
        self.launch();
        self.ready().await;
    }

    /// Starts the process without waiting.
    pub(crate) fn launch(&mut self) {
        self.launch_with(&[]);
    }

    /// Starts the process with more arguments, such as `--demo`, without waiting.
    pub(crate) fn launch_with(&mut self, arguments: &[&str]) {
        let _ = fs::remove_file(self.data.join("addresses.json"));
        let output =
            fs::OpenOptions::new().create(true).append(true).open(self.output_file()).unwrap();
        let mut command = self.command();
        command.args(arguments).stdout(output.try_clone().unwrap()).stderr(output);
        self.child = Some(command.spawn().expect("the binary starts"));
    }

    /// Waits until a launched process answers.
    pub(crate) async fn ready(&mut self) {
        let addresses = self.data.join("addresses.json");
        let started = Instant::now();
        let text = loop {
            if let Ok(text) = fs::read_to_string(&addresses) {
                break text;
            }
            if !self.is_running() {
                panic!("the server exited by itself:\n{}", self.output());
            }
            assert!(started.elapsed() < PATIENCE, "the server does not start:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let addresses: Value = serde_json::from_str(&text).unwrap();
        self.phones = format!("http://{}", addresses["phones"].as_str().unwrap());
        self.operators = format!("http://{}", addresses["operators"].as_str().unwrap());
    }

    /// Replaces the settings. They apply from the next start on.
    pub(crate) fn set_env(&mut self, env: &[(&str, &str)]) {
        self.env.clear();
        self.add_env(env);
    }

    /// Adds settings, or changes those that are there. They apply from the next start on.
    pub(crate) fn add_env(&mut self, env: &[(&str, &str)]) {
        self.env.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    }

    /// Sets the limit of open files. It applies from the next start on.
    pub(crate) fn limit_open_files(&mut self, limit: u32) {
        self.open_files = Some(limit);
    }

    /// Replaces the variables of the process that are no settings. They apply from the next start on.
    pub(crate) fn set_process_env(&mut self, env: &[(&str, &str)]) {
        let own = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        self.process_env = env.iter().map(own).collect();
    }

    /// The output of the server so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.output_file()).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// Kills the server with `kill -9`. It cannot clean up.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "the server exited by itself:\n{}", self.output());
    }

    /// Kills a server with `kill -9` that may already have exited successfully.
    pub(crate) fn kill_or_ended(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let ended_well = status.success() || status.signal() == Some(9);
        assert!(ended_well, "the server exited with {status}:\n{}", self.output());
    }

    /// Sends the signal with this name.
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Sends SIGTERM and returns the exit status.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait().await
    }

    /// Waits for the exit status of a server that is stopping.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the server does not stop:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// A request to the phones' listener.
    pub(crate) fn phone(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.phones)).timeout(PATIENCE)
    }

    /// A GET on the operators' listener.
    pub(crate) fn operator(&self, token: &str, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.operators)).bearer_auth(token).timeout(PATIENCE)
    }

    /// A GET of the metrics, by an operator who may do nothing else. It is added at the first one.
    pub(crate) fn scrape(&self) -> RequestBuilder {
        static ADDED: AtomicU32 = AtomicU32::new(0);
        let add = || {
            // Other handles on the same directory have operators of their own.
            let (process, at) = (std::process::id(), ADDED.fetch_add(1, Ordering::SeqCst));
            self.operator_token(&format!("scraper-{process}-{at}"), "metrics")
        };
        self.operator(self.scraper.get_or_init(add), "/metrics")
    }

    /// Signs up a device with a new account.
    pub(crate) async fn sign_up(&self) -> Device {
        let request = self.phone(Method::POST, "/v1/devices").json(&json!({"platform": "ios"}));
        let (status, body) = json_of(request).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        let text = |field: &str| body[field].as_str().unwrap().to_owned();
        Device { device: text("device"), account: text("account"), token: text("token") }
    }

    /// Claims a handle for a device and confirms it with the code that was sent.
    pub(crate) async fn prove(&self, device: &Device, handle: &str) {
        let claim = self.phone(Method::POST, "/v1/devices/me/handles").bearer_auth(&device.token);
        let (status, body) = json_of(claim.json(&json!({"handle": handle}))).await;
        if status == StatusCode::OK {
            return;
        }
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        let verification = body["verification"].as_str().unwrap();
        let code = self.code_for(verification);
        let (status, body) = self.confirm(verification, &code).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }

    /// Confirms a verification with a code.
    pub(crate) async fn confirm(&self, verification: &str, code: &str) -> (StatusCode, Value) {
        let path = format!("/v1/verifications/{verification}");
        json_of(self.phone(Method::POST, &path).json(&json!({"code": code}))).await
    }

    /// The lines of the outbox.
    pub(crate) fn outbox(&self) -> Vec<Value> {
        let file = fs::File::open(self.data.join("outbox.ndjson")).unwrap();
        BufReader::new(file)
            .lines()
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect()
    }

    /// The last code sent for a verification.
    pub(crate) fn code_for(&self, verification: &str) -> String {
        let outbox = self.outbox();
        let sent = outbox.iter().rev().find(|line| line["verification"] == verification);
        sent.expect("the code is in the outbox")["code"].as_str().unwrap().to_owned()
    }

    /// Looks up one handle.
    pub(crate) async fn lookup(&self, device: &Device, handle: &str) -> (StatusCode, Value) {
        let encoded: String = handle.bytes().map(percent_encode).collect();
        let path = format!("/v1/lookup/{encoded}");
        json_of(self.phone(Method::GET, &path).bearer_auth(&device.token)).await
    }

    /// The route of one handle.
    pub(crate) async fn route(&self, device: &Device, handle: &str) -> String {
        let (status, body) = self.lookup(device, handle).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["route"].as_str().unwrap().to_owned()
    }

    /// Adds an operator through the command line and returns the token.
    pub(crate) fn operator_token(&self, name: &str, role: &str) -> String {
        let mut command = dispatchd();
        command.args(["operator", "add", name, "--role", role, "--data"]).arg(&self.data);
        let output = run(&mut command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Every record that matches a query string such as `kind=lookup&order=asc`.
    pub(crate) async fn records(&self, token: &str, query: &str) -> Vec<Value> {
        let request = self.operator(token, &format!("/v1/log?{query}"));
        let request = request.header("accept", "application/x-ndjson");
        let (status, _, text) = send(request).await;
        assert_eq!(status, StatusCode::OK);
        std::str::from_utf8(&text)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the server's output ---\n{}", self.output());
        }
    }
}

/// A device with its token.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) device: String,
    pub(crate) account: String,
    pub(crate) token: String,
}

/// Sends a request and returns the whole answer, which must be one that the API description declares.
pub(crate) async fn send(request: RequestBuilder) -> (StatusCode, HeaderMap, Bytes) {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let response = client.execute(request).await.expect("the server answers");
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    described::check(&method, &path, status.as_u16(), &headers, &body);
    (status, headers, body)
}

/// Sends a request. Returns the status and the JSON body.
pub(crate) async fn json_of(request: RequestBuilder) -> (StatusCode, Value) {
    let (status, _, body) = send(request).await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// Percent-encodes all but unreserved characters (RFC 3986 section 2.3).
fn percent_encode(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// The offset of the parity in a sealed file. The parity ends 1,024 bytes before the end of the file.
///
/// `None` if the file is not a complete sealed file.
pub(crate) fn parity_start(path: &Path) -> Option<usize> {
    let file = ChunkFile::open(path).ok()?;
    let chunks = file.parts().iter().sum::<u64>() + 16 * file.chunks();
    usize::try_from(FILE_HEADER_BYTES + chunks).ok()
}

/// Adds an operator to a data directory, whose server runs in this process, in another one, or not at all. Gives its token.
pub(crate) fn add_operator(data: &Path, name: &str, role: Role) -> String {
    let (mut operators, new) =
        (Reached::find(data).unwrap(), NewOperator::new(name, role).unwrap());
    operators.add(&new).unwrap();
    new.token().reveal().to_owned()
}

/// Every regular file below `folder` with its bytes.
pub(crate) fn bytes_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(bytes_below(&path));
        } else if path.is_file() {
            let mut bytes = Vec::new();
            fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            files.push((path, bytes));
        }
    }
    files
}
