//! Runs a document as its reader does: its shell blocks in order in one `bash -e`, in an empty folder, with a server of its
//! own. Only ports are replaced, and `cargo run --release --` by the binary under test.
//!
//! A program in TypeScript or Python is written to the file that its first line names. In a document with such a program, the
//! folder has the packages that the reader would install.

use std::{
    fmt::Write as _,
    fs::{self, File},
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{
    document::{Block, Document},
    pattern::matches,
};
use crate::{
    clients_typescript,
    harness::{PATIENCE, dispatchd, own_port, quoted, say},
    python::{node_packages, node_tool, python},
    recipes::authority::write,
};

const CARGO_RUN: &str = "cargo run --release --";
/// Sections that a newcomer follows: how long their blocks take is printed.
const NEWCOMERS: [(&str, &str); 2] =
    [("README.md", "## Why did it go green?"), ("docs/client.md", "## In TypeScript")];

/// All processes of a document. Dropping it kills them.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// The file in which a program of a document is saved: its first line names it in a comment.
fn file_of(program: &Block) -> Option<&str> {
    let comment = if program.kind == "ts" { "// " } else { "# " };
    let name = program.text.lines().next()?.strip_prefix(comment)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.chars().all(is_name).then_some(name)
}

/// Whether a later block of the document runs the program. README's is run by a test of the clients.
fn is_used(program: &Block, document: &Document) -> bool {
    file_of(program).is_some_and(|file| {
        let mut later = document.of_kind("sh").filter(|block| block.line > program.line);
        document.name == "README.md" || later.any(|block| block.text.contains(file))
    })
}

fn is_program(block: &Block) -> bool {
    ["ts", "python"].contains(&block.kind.as_str())
}

/// A folder, in which a document runs.
pub(super) struct Place {
    folder: tempfile::TempDir,
    /// Folders of programs that its commands find besides the system's.
    programs: Vec<PathBuf>,
    phones: u16,
    operators: u16,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["here", "bin", "outputs", "checked"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        symlink(dispatchd().get_program(), folder.path().join("bin/dispatchd")).unwrap();
        let programs = vec![folder.path().join("bin")];
        Self { folder, programs, phones: own_port(), operators: own_port() }
    }

    /// Adds what the reader of programs has: Node.js, Python, and their packages.
    fn add_packages(&mut self) {
        let node = Path::new(node_tool("node").get_program()).parent().unwrap().to_owned();
        self.programs.extend([node, python().parent().unwrap().to_owned()]);
        let modules = self.path("here/node_modules");
        fs::create_dir_all(modules.join("@dispatchd")).unwrap();
        for package in fs::read_dir(node_packages().join("node_modules")).unwrap() {
            let package = package.unwrap();
            symlink(package.path(), modules.join(package.file_name())).unwrap();
        }
        symlink(clients_typescript::built(), modules.join("@dispatchd/client")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A text of a document with the ports of this place.
    fn with_ports(&self, text: &str) -> String {
        text.replace(":8080", &format!(":{}", self.phones))
            .replace(":8081", &format!(":{}", self.operators))
    }

    fn translate(&self, script: &str) -> String {
        self.with_ports(&script.replace(CARGO_RUN, "dispatchd"))
    }

    /// A command in this place, where `dispatchd` is the binary under test.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("DISPATCHD_")) {
                command.env_remove(name);
            }
        }
        let others = std::env::var_os("PATH").unwrap_or_default();
        let programs = self.programs.iter().cloned().chain(std::env::split_paths(&others));
        command
            .current_dir(self.path("here"))
            .stdin(Stdio::null())
            .env("PATH", std::env::join_paths(programs).unwrap())
            .env("HOME", self.path("here"))
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("no_proxy", "*")
            // Otherwise npx mentions newer versions of npm.
            .env("npm_config_update_notifier", "false");
        command
    }

    /// The script of all blocks. Each writes to a file of its own what its reader sees.
    fn script(&self, steps: &[&Block]) -> String {
        let outputs = quoted(self.path("outputs").to_str().unwrap());
        let mut script = format!("echo $EPOCHREALTIME >{outputs}/0.begun\n");
        for (at, step) in steps.iter().enumerate() {
            let text = self.translate(&step.text);
            // The server is no job of the shell: `wait` in a later block does not wait for it.
            let _ = match step.kind.as_str() {
                "sh server" => writeln!(
                    script,
                    "{{\n{text}\n}} >{outputs}/{at} 2>&1 & disown; server=$!\n\
                     until curl -sf http://127.0.0.1:{}/readyz >/dev/null; do kill -0 $server; sleep 0.05; done",
                    self.phones
                ),
                "sh" => writeln!(script, "{{\n{text}\n}} >{outputs}/{at} 2>&1"),
                _ => {
                    let file = file_of(step).unwrap_or_default();
                    writeln!(script, "cat >'{file}' <<'END OF FILE'\n{text}\nEND OF FILE")
                }
            };
            let _ = writeln!(script, "echo $EPOCHREALTIME >{outputs}/{}.begun", at + 1);
        }
        script
    }

    fn output(&self, at: usize) -> Option<String> {
        fs::read(self.path("outputs").join(at.to_string()))
            .ok()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Prints how long the steps of each section for newcomers took.
    fn say_seconds(&self, document: &Document, steps: &[&Block]) {
        let begun = |at: usize| -> f64 {
            let time = fs::read_to_string(self.path(&format!("outputs/{at}.begun"))).unwrap();
            time.trim().parse().unwrap()
        };
        for (_, heading) in NEWCOMERS.iter().filter(|(name, _)| *name == document.name) {
            let section = document.section(heading);
            let is_in = |step: &&Block| section.blocks.iter().any(|block| block.line == step.line);
            let first = steps.iter().position(is_in).expect("the section has blocks that run");
            let count = steps.iter().filter(|step| is_in(step)).count();
            let seconds = begun(first + count) - begun(first);
            say(&format!(
                "{}, {}: {seconds:.1} s",
                document.name,
                heading.trim_start_matches("## ")
            ));
        }
    }

    /// Runs the blocks. The error says which failed.
    fn run(&self, document: &Document, steps: &[&Block]) -> Result<(), String> {
        let script = self.path("script");
        fs::write(&script, self.script(steps)).unwrap();
        let mut bash = self.command("bash");
        bash.arg("-e").arg(script).process_group(0);
        bash.env("DISPATCHD_SERVER__PHONES", format!("127.0.0.1:{}", self.phones));
        bash.env("DISPATCHD_SERVER__OPERATORS", format!("127.0.0.1:{}", self.operators));
        let said = File::create(self.path("said")).unwrap();
        bash.stdout(said.try_clone().unwrap()).stderr(said);
        let mut group = Group(bash.spawn().expect("bash is installed"));
        let started = Instant::now();
        let status = loop {
            match group.0.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if started.elapsed() > PATIENCE => break None,
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        if status.is_some_and(|status| status.success()) {
            return Ok(());
        }
        let last = (0..steps.len()).rev().find_map(|at| Some((at, self.output(at)?)));
        let (at, output) = last.unwrap_or_default();
        let how = if status.is_some() { "fails" } else { "does not end" };
        let said = fs::read_to_string(self.path("said")).unwrap_or_default();
        let (name, line, text) = (&document.name, steps[at].line, &steps[at].text);
        Err(format!("{name}:{line}: this block {how}:\n{text}\n--- its output:\n{output}{said}"))
    }

    /// Runs all shell blocks of a document and compares their output with what it shows.
    pub(super) fn run_shell(&mut self, document: &Document) -> Vec<String> {
        let is_step = |b: &&Block| ["sh", "sh server"].contains(&b.kind.as_str()) || is_program(b);
        let steps: Vec<_> = document.blocks.iter().filter(is_step).collect();
        if steps.is_empty() {
            return Vec::new();
        }
        let idle = steps.iter().find(|step| is_program(step) && !is_used(step, document));
        if let Some(Block { line, .. }) = idle {
            let name = &document.name;
            return vec![format!(
                "{name}:{line}: no later block runs the file that the first line names"
            )];
        }
        if steps.iter().any(|step| is_program(step)) {
            self.add_packages();
        }
        if let Err(fault) = self.run(document, &steps) {
            return vec![fault];
        }
        self.say_seconds(document, &steps);
        let mut faults = Vec::new();
        for (at, step) in steps.iter().enumerate().filter(|(_, step)| step.kind == "sh") {
            let Some(next) = document.output_of(step) else { continue };
            let shown = self.with_ports(&next.text);
            let output = self.output(at).unwrap_or_default();
            if !matches(&shown, &output) {
                let (name, line) = (&document.name, next.line);
                faults.push(format!(
                    "{name}:{line}: shown is\n{shown}\n--- but printed is\n{output}"
                ));
            }
        }
        faults
    }

    /// Checks a configuration. Paths in it lie below this place, with what they must hold.
    pub(super) fn check_configuration(&self, text: &str) -> Result<(), String> {
        let root = self.path("checked");
        let mut here = String::new();
        for line in text.lines() {
            let absolute = line.split_once(" = \"/").filter(|(key, _)| !key.starts_with('#'));
            let Some((key, rest)) = absolute else {
                let _ = writeln!(here, "{line}");
                continue;
            };
            let Some((path, comment)) = rest.split_once('"') else {
                return Err(format!("not a text: {line}"));
            };
            let path = root.join(path);
            provide(key, &path);
            let _ = writeln!(here, "{key} = \"{}\"{comment}", path.display());
        }
        let file = root.join("dispatchd.toml");
        fs::write(&file, &here).unwrap();
        let mut check = self.command("dispatchd");
        let output = check.args(["config", "check", "--config"]).arg(file).output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{here}--- is refused:\n{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// What a key of the configuration names must exist. Data and the root key are made by the server.
fn provide(key: &str, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match key {
        "data" | "root_key" => {}
        "certificate" => write(path, &pair().0),
        "key" => write(path, &pair().1),
        _ if key.ends_with("template") => fs::write(path, "Subject: Code\n\n{code}\n").unwrap(),
        _ => fs::write(path, "secret\n").unwrap(),
    }
}

/// A certificate and its key, always the same two.
fn pair() -> &'static (String, String) {
    static PAIR: OnceLock<(String, String)> = OnceLock::new();
    PAIR.get_or_init(|| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    })
}

/// A document that has every kind of shell block.
#[cfg(test)]
fn planted(text: &str) -> Vec<String> {
    Place::new().run_shell(&Document::parse("planted.md", text).unwrap())
}

#[test]
fn blocks_share_a_shell_and_a_server() {
    let faults = planted(
        "```sh server\ndispatchd serve\n```\n\
         ```sh\nNAME=$(curl -s http://127.0.0.1:8081/readyz)\n```\n\
         ```sh\necho \"$NAME\" 127.0.0.1:8080; echo told >&2\n```\n\
         ```text\n…ready… 127.0.0.1:8080\ntold\n```\n\
         ```sh\nls; sleep 0.1 & wait\n```\n\
         ```text\ndata\n```\n",
    );
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn a_block_that_fails_or_prints_something_else_is_named() {
    let fault =
        planted("# A\n```sh\necho first\n```\n```sh\necho before; false; echo after\n```\n");
    assert!(fault[0].starts_with("planted.md:6: this block fails:\n"), "{fault:?}");
    assert!(fault[0].ends_with("before\n"), "{fault:?}");
    let fault = planted("```sh\necho here\n```\n```text\nthere\n```\n");
    assert!(fault[0].starts_with("planted.md:5: shown is\nthere\n"), "{fault:?}");
    let fault = planted("```sh server\ndispatchd serve --no-such-option\n```\n```sh\ntrue\n```\n");
    assert!(fault[0].contains("planted.md:2: this block fails:"), "{fault:?}");
    assert!(fault[0].contains("--no-such-option"), "{fault:?}");
}

#[test]
fn a_program_is_saved_and_must_be_run() {
    let faults = planted(
        "```python\n# a.py\nprint(1 + 1)\n```\n```sh\npython3 a.py\n```\n```text\n2\n```\n\
         ```ts\n// a.mts\nconsole.log(3 as number);\n```\n```sh\nnode a.mts\n```\n```text\n3\n```\n",
    );
    assert_eq!(faults, Vec::<String>::new());
    for idle in ["```ts\n// a.mts\nexit(1)\n```\n", "```python\nexit(1)\n```\n```sh\nls\n```\n"] {
        let faults = planted(idle);
        assert_eq!(
            faults,
            ["planted.md:2: no later block runs the file that the first line names"]
        );
    }
}

#[test]
fn a_configuration_is_checked_with_what_it_names() {
    let place = Place::new();
    let mail = "[ownership.delivery.mail]\nhost = \"m.example\"\nfrom = \"codes@a.example\"\n\
                user = \"u\"\npassword_file = \"/run/secrets/mail\"\nbind_template = \"/etc/a/bind.txt\"\n";
    let keys = "[keys]\nroot_key = \"/var/lib/dispatchd-root/root.key\" # elsewhere\n";
    for good in [mail, keys, "[server]\ndata = \"/var/lib/dispatchd\"\n"] {
        place.check_configuration(good).unwrap();
    }
    for bad in ["[server]\nphone = \"127.0.0.1:80\"\n", "[log]\nretention = \"31d\"\n"] {
        assert!(place.check_configuration(bad).is_err(), "{bad}");
    }
}
