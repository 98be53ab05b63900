//! The Debian package, in a root of its own (`tests/tools/private_root`) that `machine.sh` makes look like a machine with
//! systemd. The words of `docs/operators/deploy.md` are followed there: their blocks run as they stand, one after the other. Only the name `dispatch.example.org` and versions are replaced.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use tempfile::TempDir;

use crate::{
    docs::{Block, document, matches},
    harness::{dispatchd, run, say},
    repository::{ROOT, debian_folder, file},
};

/// The version of the second package, which no real one has.
const NEWER: &str = "99.0.0";

/// A name with what sed and bash have a use for.
const BUILDER: &str = r"A & B/C\1|D";

/// A folder below `target` with two packages of the binary under test, which the private root sees.
pub(super) struct Packages {
    pub(super) folder: TempDir,
    pub(super) old: PathBuf,
    pub(super) new: PathBuf,
}

impl Packages {
    pub(super) fn build() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let build = |version: &str| {
            let mut build = Command::new(file("config/debian/build"));
            build.args(["--version", version, "--binary"]).arg(dispatchd().get_program());
            build.arg("--output").arg(folder.path()).env("DPKG_DEB_COMPRESSOR_TYPE", "none");
            build.env("DEBFULLNAME", BUILDER).env("DEBEMAIL", "ann@example.com");
            let output = run(&mut build);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
        };
        let (old, new) = (build(env!("CARGO_PKG_VERSION")), build(NEWER));
        Self { folder, old, new }
    }

    /// Runs a script in a private root, and returns what it printed.
    pub(super) fn run(&self, script: &Path, arguments: &[&Path]) -> String {
        let mut root = Command::new(file("tests/tools/private_root"));
        root.arg("bash").arg(script).args(arguments).current_dir(self.folder.path());
        root.env("REPOSITORY", ROOT).env("TOOLS", debian_folder());
        let output = run(&mut root);
        let [told, errors] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(
            output.status.success(),
            "tests/tools/private_root needs Linux with overlayfs, dpkg, adduser, iproute2, and root or subordinate ids:\n\
             {told}{errors}"
        );
        told
    }
}

#[test]
fn the_package_is_installed_upgraded_removed_and_purged() {
    let packages = Packages::build();
    let script = file("tests/integration/packages/debian.sh");
    let told = packages.run(&script, &[&packages.old, &packages.new]);
    assert!(told.ends_with("all steps passed\n"), "{told}");
}

#[test]
fn the_package_holds_what_it_says() {
    let packages = Packages::build();
    let maintainer =
        run(Command::new("dpkg-deb").arg("--field").arg(&packages.old).arg("Maintainer"));
    let maintainer = String::from_utf8(maintainer.stdout).unwrap();
    assert_eq!(maintainer.trim(), format!("{BUILDER} <ann@example.com>"));
    let listed = run(Command::new("dpkg-deb").arg("--contents").arg(&packages.old));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let modes = |path: &str| {
        let line = listed.lines().find(|line| line.ends_with(&format!(" ./{path}")));
        line.unwrap_or_else(|| panic!("no {path} in\n{listed}"))[..10].to_owned()
    };
    assert_eq!(modes("usr/bin/dispatchd"), "-rwxr-xr-x");
    for path in [
        "etc/dispatchd/dispatchd.toml",
        "usr/lib/systemd/system/dispatchd.service",
        "usr/share/dispatchd/caddy/Caddyfile",
        "usr/share/dispatchd/nginx/dispatchd.conf",
        "usr/share/dispatchd/text-gateway-adapter.py",
        "usr/share/bash-completion/completions/dispatchd",
        "usr/share/zsh/vendor-completions/_dispatchd",
        "usr/share/fish/vendor_completions.d/dispatchd.fish",
        "usr/share/man/man1/dispatchd.1.gz",
        "usr/share/man/man1/dispatchd-log-search.1.gz",
        "usr/share/doc/dispatchd/copyright",
        "usr/share/doc/dispatchd/changelog.gz",
        "usr/share/doc/dispatchd/docs/operators/deploy.md",
    ] {
        assert_eq!(modes(path), "-rw-r--r--", "{path}");
    }
    assert!(listed.lines().all(|line| line.contains(" root/root ")), "{listed}");
    assert!(
        run(Command::new(file("config/debian/build")).arg("--binary")).status.code() != Some(0)
    );
}

/// A block of a document, and the output that stands below it.
pub(super) struct Step {
    pub(super) script: String,
    pub(super) output: Option<String>,
}

/// The `sh by-hand` blocks below a heading of a document.
pub(super) fn steps(name: &str, heading: &str) -> Vec<Step> {
    let section = document(name).section(heading);
    let step = |block: &Block| Step {
        script: block.text.clone(),
        output: section.output_of(block).map(|shown| shown.text.clone()),
    };
    section.of_kind("sh by-hand").map(step).collect()
}

/// A script that follows steps in a private root, in one shell, as in the reader's terminal.
pub(super) fn follow(steps: &[Step]) -> String {
    let mut script = format!("source {ROOT}/tests/integration/packages/machine.sh\n");
    for (number, step) in steps.iter().enumerate() {
        script.push_str(&format!(
            "echo '{}'\n{{ {}\n}} >/tmp/step.out\ncat /tmp/step.out\necho '{END_OF_STEP}'\n",
            start_of(number),
            step.script.replace("NAME=dispatch.example.org", "NAME=dispatch.localhost")
        ));
    }
    script
}

const END_OF_STEP: &str = "== end of the step";

fn start_of(step: usize) -> String {
    format!("== step {step}")
}

/// Compares what each step printed with what its document shows. `told` is what the script of [`follow`] printed.
pub(super) fn print_what_they_show(steps: &[Step], told: &str) {
    for (number, step) in steps.iter().enumerate() {
        let (_, printed) = told.split_once(&(start_of(number) + "\n")).expect("each step runs");
        let (printed, _) = printed.split_once(END_OF_STEP).expect("each step ends");
        if let Some(shown) = &step.output {
            let script = &step.script;
            assert!(
                matches(shown, printed),
                "{script}\n--- shown is\n{shown}\n--- printed\n{printed}"
            );
        }
    }
}

/// "From the package to a TLS server that Prometheus scrapes". Prints the seconds.
#[test]
fn the_words_of_deploy_lead_from_the_package_to_tls_and_prometheus() {
    let packages = Packages::build();
    let steps = steps(
        "docs/operators/deploy.md",
        "## From the package to a TLS server that Prometheus scrapes",
    );
    // The first makes the package, which the tests do from the binary under test.
    assert!(steps[0].script.starts_with("cargo build --release --locked\n"), "{}", steps[0].script);
    let mut script = follow(&steps[1..]);
    // The name is not public, so Caddy signs the certificate itself.
    let authority = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt";
    script = format!(
        "cd {}\nexport CURL_CA_BUNDLE={authority} SSL_CERT_FILE={authority}\n{script}",
        packages.folder.path().display()
    );
    script.push_str(
        r#"
is "the address in the log" 127.0.0.7 "$(
    curl --silent --fail --interface 127.0.0.7 --header 'X-Forwarded-For: 198.51.100.1' \
        --header "Authorization: Bearer $TOKEN" https://dispatch.localhost/v1/lookup/%2B14155550124 >/dev/null
    dispatchd log search --handle +14155550124 --json | sed 's/.*"ip":"\([^"]*\)".*/\1/'
)"
echo "all steps passed"
"#,
    );
    fs::remove_file(&packages.new).unwrap();
    let path = packages.folder.path().join("deploy.sh");
    fs::write(&path, script).unwrap();
    let started = Instant::now();
    let told = packages.run(&path, &[]);
    say(&format!(
        "from the package to TLS and Prometheus: {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    assert!(told.ends_with("all steps passed\n") && steps.len() >= 8, "{told}");
    print_what_they_show(&steps[1..], &told);
}
