//! What others make of `docs/openapi.json`: validators, generated clients, and a program that tries to break its promises.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::{
    docs::document,
    harness::Server,
    openapi::described::KEPT,
    python::{node_packages, node_tool, python, python_tool},
};

const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools");
const HANDLE: &str = "+14155550123";

#[track_caller]
fn succeeds(command: &mut Command) -> Output {
    let output = command.output().expect("the program is installed");
    let (told, said) =
        (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{command:?}\n{said}\n{told}");
    output
}

async fn served(listener: &str) -> String {
    let client = crate::harness::client().build().unwrap();
    client.get(format!("{listener}/openapi.json")).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn validators_accept_the_description_of_each_listener() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, listener) in [("phones", &server.phones), ("both", &server.operators)] {
        let file = folder.path().join(format!("{name}.json"));
        fs::write(&file, served(listener).await).unwrap();
        succeeds(python_tool("openapi-spec-validator").arg(&file));
        let mut lint = node_tool("redocly");
        lint.args(["lint", "--config"]).arg(format!("{TOOLS}/node/redocly.yaml")).arg(&file);
        succeeds(lint.env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true"));
    }
}

/// A server with a proved handle, and the arguments of a client: listeners, tokens, handle.
async fn to_call() -> (Server, [String; 5]) {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, HANDLE).await;
    let token = server.operator_token("client", "reader");
    let (phones, operators) = (server.phones.clone(), server.operators.clone());
    (server, [phones, operators, ben.token, token, HANDLE.to_owned()])
}

#[tokio::test]
async fn a_generated_typescript_client_makes_a_lookup_a_search_and_a_timeline() {
    let (_server, arguments) = to_call().await;
    let folder = tempfile::tempdir_in(node_packages()).unwrap();
    fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
    fs::copy(format!("{TOOLS}/clients/client.ts"), folder.path().join("client.ts")).unwrap();
    let within = |mut command: Command| {
        command.current_dir(folder.path());
        command
    };
    succeeds(within(node_tool("openapi-typescript")).args([KEPT, "--output", "schema.ts"]));
    let options = "--strict --noUncheckedIndexedAccess --noEmit --allowImportingTsExtensions --module nodenext \
                   --target es2022 --lib es2022,dom client.ts";
    succeeds(within(node_tool("tsc")).args(options.split_whitespace()));
    succeeds(within(node_tool("node")).arg("client.ts").args(arguments));
}

/// A reader saves README's program, and puts a server and a token into it.
#[tokio::test]
async fn the_program_of_the_readme_compiles_and_prints_the_answer() {
    let (_server, [phones, _, token, ..]) = to_call().await;
    let folder = tempfile::tempdir_in(node_packages()).unwrap();
    let readme = document("README.md");
    let [program] = &readme.of_kind("ts").collect::<Vec<_>>()[..] else {
        panic!("README has one program in TypeScript");
    };
    let text = program.text.replace("http://127.0.0.1:8080", &phones).replace("TOKEN", &token);
    assert!(text.contains(&phones) && text.contains(&token), "{text}");
    fs::write(folder.path().join("lookup.mts"), text).unwrap();
    let within = |mut command: Command| {
        command.current_dir(folder.path());
        command
    };
    let description = folder.path().join("openapi.json");
    fs::write(&description, served(&phones).await).unwrap();
    succeeds(
        within(node_tool("openapi-typescript")).arg(description).args(["--output", "dispatchd.ts"]),
    );
    let options = "--strict --noEmit --module nodenext --target es2022 --lib es2022,dom lookup.mts";
    succeeds(within(node_tool("tsc")).args(options.split_whitespace()));
    let output = succeeds(within(node_tool("node")).arg("lookup.mts"));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("handle: '+14155550123'") && printed.contains("route: 'imessage'"),
        "{printed}"
    );
}

/// What the guide tells its readers to install is what the tests have.
#[test]
fn the_guide_installs_the_packages_that_the_tests_have() {
    let ours = fs::read_to_string(format!("{TOOLS}/node/package.json")).unwrap();
    let ours: serde_json::Value = serde_json::from_str(&ours).unwrap();
    let python = fs::read_to_string(format!("{TOOLS}/requirements.txt")).unwrap();
    let guide = document("docs/client.md");
    let installs = guide.of_kind("sh by-hand").map(|block| block.text.as_str());
    let installs: Vec<_> = installs.filter(|install| !install.starts_with("cargo ")).collect();
    assert_eq!(installs.len(), 3, "{installs:?}");
    for line in installs.iter().flat_map(|install| install.lines()) {
        if let Some(packages) = line.strip_prefix("npm install ") {
            // Options, and folders of the repository.
            let is_named = |package: &&str| !package.starts_with("--") && !package.contains('/');
            for package in packages.split(' ').filter(is_named) {
                let (name, version) = package.split_once('@').expect("a version");
                let ours = ours["devDependencies"][name].as_str().expect(name);
                assert!(ours.starts_with(&format!("{version}.")), "{package}, but {ours}");
            }
        } else if let Some(package) = line.strip_prefix("pip install ") {
            assert!(
                python.lines().any(|line| line.starts_with(&format!("{package}=="))),
                "{package}"
            );
        } else {
            assert!(["python3 -m venv venv", ". venv/bin/activate"].contains(&line), "{line}");
        }
    }
}

#[tokio::test]
async fn a_generated_python_client_makes_a_lookup_a_search_and_a_timeline() {
    let (_server, arguments) = to_call().await;
    let folder = tempfile::tempdir().unwrap();
    let mut generate = python_tool("openapi-python-client");
    generate.args(["generate", "--fail-on-warning", "--meta", "none", "--path", KEPT]);
    generate.arg("--config").arg(format!("{TOOLS}/clients/python.yaml"));
    succeeds(generate.arg("--output-path").arg(folder.path().join("dispatchd_client")));
    let mut client = Command::new(python());
    client.arg(format!("{TOOLS}/clients/client.py")).args(arguments);
    succeeds(client.env("PYTHONPATH", folder.path()));
}

/// Schemathesis with the checks of `schemathesis.toml` and a fixed seed, `cases` examples for each call at most.
fn schemathesis(listener: &str, token: &str, folder: &Path, cases: u32) -> Command {
    let mut command = python_tool("schemathesis");
    command.current_dir(folder);
    command.arg("--config-file").arg(format!("{TOOLS}/schemathesis.toml"));
    command.args(["run", &format!("{listener}/openapi.json"), "--url", listener]);
    command.args(["--seed", "20261128", "--continue-on-failure", "--no-color"]);
    command.args(["--max-examples", &cases.to_string()]);
    command.args(["--header", &format!("Authorization: Bearer {token}")]);
    command
}

#[tokio::test]
async fn schemathesis_finds_no_fault_in_the_phones_calls() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    // Both now: the server closes a connection that is idle for as long as Schemathesis takes.
    let (lasting, ending) = (server.sign_up().await.token, server.sign_up().await.token);
    let mut all = schemathesis(&server.phones, &lasting, folder.path(), 60);
    succeeds(all.args(["--exclude-operation-id", "signOut"]));
    // It ends its device.
    let mut sign_out = schemathesis(&server.phones, &ending, folder.path(), 5);
    succeeds(sign_out.args(["--include-operation-id", "signOut"]));
}

#[tokio::test]
async fn schemathesis_finds_no_fault_in_the_operators_calls() {
    let server = Server::start().await;
    let token = server.operator_token("schemathesis", "admin");
    let folder = tempfile::tempdir().unwrap();
    let mut all = schemathesis(&server.operators, &token, folder.path(), 60);
    // The phones' calls are in the description of both listeners. A server in no cluster refuses whatever is asked of a cluster.
    for tag in ["lookup", "devices", "handles", "cluster", "joining"] {
        all.args(["--exclude-tag", tag]);
    }
    succeeds(&mut all);
}
