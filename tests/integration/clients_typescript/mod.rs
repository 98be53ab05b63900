//! The package `clients/typescript`: its types are the description's, its own tests pass, and a program can install it. What it
//! answers when network and server fail is in `faults`; its example is in `example`.

mod example;
mod faults;
mod node;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use node::PACKAGE;

use crate::{
    docs::files_below,
    harness::{Server, client, run},
    python::{node_packages, node_tool, python_tool},
    repository::file,
};

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = run(command);
    let (told, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{told}\n{said}");
    told.into_owned()
}

/// A copy of the package in `folder`, with the compiler of the tests as if `npm install` had been run in it.
fn copy(folder: &Path) -> PathBuf {
    let copy = folder.join("typescript");
    for name in files_below(PACKAGE) {
        let to = copy.join(Path::new(&name).strip_prefix(PACKAGE).unwrap());
        if ["node_modules", "dist"].iter().any(|made| to.starts_with(copy.join(made))) {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file(&name), to).unwrap();
    }
    symlink(node_packages().join("node_modules"), copy.join("node_modules")).unwrap();
    copy
}

/// The folder of the package, built once, for programs that import it.
pub(crate) fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let name = format!("clients-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // Of an earlier process with this number.
        let _ = fs::remove_dir_all(&folder);
        let copy = copy(&folder);
        succeeds(node_tool("tsc").current_dir(&copy));
        copy
    })
}

/// `UPDATE_CLIENT_TYPES=1` writes the file.
#[tokio::test]
async fn the_types_are_made_from_the_description_of_the_phones_calls() {
    let server = Server::start().await;
    let address = format!("{}/openapi.json", server.phones);
    let description = client().build().unwrap().get(address).send().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (from, made) = (folder.path().join("openapi.json"), folder.path().join("openapi.ts"));
    fs::write(&from, description.bytes().await.unwrap()).unwrap();
    succeeds(node_tool("openapi-typescript").arg(from).arg("--output").arg(&made));
    let (made, kept) = (fs::read_to_string(made).unwrap(), file(PACKAGE).join("src/openapi.ts"));
    if std::env::var_os("UPDATE_CLIENT_TYPES").is_some() {
        fs::write(&kept, &made).unwrap();
    }
    let is_same = fs::read_to_string(&kept).unwrap() == made;
    assert!(is_same, "{} is out of date; run this test with UPDATE_CLIENT_TYPES=1", kept.display());
}

#[test]
fn it_compiles_and_its_own_tests_pass() {
    let within = |mut command: Command| {
        command.current_dir(file(PACKAGE));
        command
    };
    succeeds(within(node_tool("tsc")).args(["--project", "tests"]));
    let told = succeeds(within(node_tool("node")).args(["--test", "--test-timeout", "120000"]));
    let count = told.lines().find_map(|line| line.split_once("tests ")?.1.parse().ok());
    assert!(count.is_some_and(|count: u32| count >= 40), "{told}");
}

/// As the guide says it, without the network: the package depends on nothing.
#[test]
fn a_program_installs_it_from_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let package = copy(folder.path());
    let program = folder.path().join("program");
    fs::create_dir(&program).unwrap();
    fs::write(program.join("package.json"), r#"{"type": "module"}"#).unwrap();
    fs::write(
        program.join("a.ts"),
        "import { Phone } from \"@dispatchd/client\";\nimport type { Route } from \"@dispatchd/client\";\n\
         const route: Route = \"sms\";\nconsole.log(Phone.name, route);\n",
    )
    .unwrap();
    // Newer versions of npm do not build a package that another one installs, so its folder comes first.
    let install = |from: &Path, with: &[&str]| {
        let mut npm = python_tool("npm");
        npm.current_dir(from).args(with).args(["--offline", "--no-audit", "--no-fund"]);
        succeeds(npm.env("HOME", folder.path()));
    };
    install(&package, &["run", "prepare"]);
    install(&program, &["install", package.to_str().unwrap()]);
    let options = "--strict --noEmit --module nodenext --target es2022 --lib es2022,dom";
    let tsc = |file: &str| {
        let mut tsc = node_tool("tsc");
        tsc.current_dir(&program).args(options.split(' ')).arg(file);
        run(&mut tsc).status.success()
    };
    assert!(tsc("a.ts"));
    assert_eq!(succeeds(node_tool("node").current_dir(&program).arg("a.ts")), "Phone sms\n");
    fs::write(program.join("b.ts"), "import { Phone } from \"@dispatchd/client\";\nPhone.sms;\n")
        .unwrap();
    assert!(!tsc("b.ts"), "the package has no types");
}

/// The compiler that the package names is the one that the tests have.
#[test]
fn its_only_tool_is_the_compiler_of_the_tests() {
    let versions = |name: &str| -> serde_json::Value {
        let text = fs::read_to_string(file(name).join("package.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let (package, tools) = (versions(PACKAGE), versions("tests/tools/node"));
    let compiler = &tools["devDependencies"]["typescript"];
    assert!(compiler.is_string());
    assert_eq!(package["devDependencies"], serde_json::json!({"typescript": compiler}));
    assert!(package.get("dependencies").is_none());
}
