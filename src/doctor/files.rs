//! Who may read or change the server's files and secrets, and whether all of them belong to its user.

use std::path::{Path, PathBuf};

use super::unreadable::unreadable;
use crate::{
    api::{Check, Finding},
    config::Config,
    files::{self, Access},
    verification::DeliveryMethod,
};

/// Looks at the data directory with all its files, the root key, and the files of secrets that the configuration names.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let data = &config.server.data;
    let mut findings = match Access::of_all(data) {
        Ok(all) => judge_data(data, &all),
        Err(error) => vec![unreadable(Check::FileModes, &data.display().to_string(), &error)],
    };
    let root_key = config.keys.root_key.iter().map(|path| (path, Access::is_open_to_others as _));
    // Secrets of a service manager may belong to a group. What everybody reads is no secret.
    let secrets = secrets(config);
    let secrets = secrets.iter().map(|path| (path, Access::is_open_to_all as fn(&Access) -> bool));
    for (path, is_open) in root_key.chain(secrets) {
        match files::if_exists(Access::of(path)) {
            Ok(access) => {
                findings.extend(access.filter(is_open).map(|access| judge_secret(&access)))
            }
            Err(error) => {
                findings.push(unreadable(Check::FileModes, &path.display().to_string(), &error));
            }
        }
    }
    findings
}

/// The files of secrets that the configuration names.
fn secrets(config: &Config) -> Vec<PathBuf> {
    let DeliveryMethod::Section(methods) = &config.ownership.delivery else { return Vec::new() };
    let mut files = Vec::new();
    if let DeliveryMethod::Section(mail) = &methods.mail {
        files.extend(mail.password_file.clone());
    }
    if let DeliveryMethod::Section(text) = &methods.text {
        files.extend(text.secret_file.clone());
    }
    files
}

/// Judges the data directory, which comes first, and everything below it.
fn judge_data(data: &Path, all: &[Access]) -> Vec<Finding> {
    let data = data.display();
    let mut findings = Vec::new();
    let open: Vec<_> = all.iter().filter(|access| access.is_open_to_others()).collect();
    if let Some(first) = open.first() {
        let what = format!(
            "others than the server's user may read or change {} of the data directory, such as {} (mode {:03o})",
            counted(open.len()),
            first.path.display(),
            first.mode
        );
        let to_do = format!("chmod -R go-rwx {data}");
        let is_fault = open.iter().any(|access| access.is_open_to_all());
        let finding = if is_fault { Finding::error } else { Finding::warning };
        findings.push(finding(Check::FileModes, what, to_do));
    }
    let Some(owner) = all.first().map(|directory| directory.owner) else { return findings };
    let foreign: Vec<_> = all.iter().filter(|access| access.owner != owner).collect();
    if let Some(first) = foreign.first() {
        let what = format!(
            "{} of the data directory, such as {}, belong to another user than the directory, so the server may not be able to \
             change them",
            counted(foreign.len()),
            first.path.display()
        );
        let to_do = format!("chown -R --reference={data} {data}");
        findings.push(Finding::error(Check::FileOwners, what, to_do));
    }
    findings
}

fn judge_secret(secret: &Access) -> Finding {
    let path = secret.path.display();
    let what =
        format!("others than its owner may read the secret {path} (mode {:03o})", secret.mode);
    let to_do = format!("chmod 600 {path}, then decide whether somebody has read it");
    Finding::error(Check::FileModes, what, to_do)
}

fn counted(entries: usize) -> String {
    if entries == 1 {
        "1 file or directory".to_owned()
    } else {
        format!("{entries} files and directories")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    use super::*;
    use crate::{
        api::Severity,
        verification::{DeliveryMethods, TextConfig},
    };

    fn access(path: &str, owner: u32, mode: u32) -> Access {
        Access { path: path.into(), owner, mode }
    }

    fn judged(all: &[Access]) -> Vec<(Check, Severity)> {
        let found = judge_data(Path::new("data"), all);
        found.into_iter().map(|it| (it.check, it.severity)).collect()
    }

    #[test]
    fn only_the_owner_may_use_the_data_and_everything_belongs_to_it() {
        let (top, key) = (access("data", 7, 0o700), access("data/keys/keyring", 7, 0o600));
        assert_eq!(judged(&[top.clone(), key.clone()]), []);
        let modes = |mode| judged(&[top.clone(), access("data/format", 7, mode)]);
        assert_eq!(modes(0o640), [(Check::FileModes, Severity::Warning)]);
        assert_eq!(modes(0o604), [(Check::FileModes, Severity::Error)]);
        let foreign = judged(&[top, key, access("data/clock", 0, 0o600)]);
        assert_eq!(foreign, [(Check::FileOwners, Severity::Error)]);
        let found = judge_data(Path::new("data"), &[access("data", 7, 0o755)]);
        assert!(found[0].what.contains("1 file or directory"), "{found:?}");
        assert!(found[0].what.contains("data (mode 755)"), "{found:?}");
        assert_eq!(found[0].to_do, "chmod -R go-rwx data");
    }

    #[test]
    fn a_secret_outside_of_the_data_directory_is_looked_at_too() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let file = |name: &str, mode| {
            fs::write(at(name), "secret").unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        };
        let mut config = Config::default();
        config.server.data = at("data");
        config.keys.root_key = Some(at("root.key"));
        let text = TextConfig { secret_file: Some(at("secret")), ..TextConfig::default() };
        let methods = DeliveryMethods { text: DeliveryMethod::Section(text), ..Default::default() };
        config.ownership.delivery = DeliveryMethod::Section(methods);
        // A group may read a secret, but not the root key.
        for (root, secret, findings) in [
            (0o600, 0o600, 0),
            (0o600, 0o640, 0),
            (0o640, 0o600, 1),
            (0o600, 0o604, 1),
            (0o644, 0o644, 2),
        ] {
            file("root.key", root);
            file("secret", secret);
            let found = check(&config);
            assert_eq!(found.len(), findings, "{root:o} {secret:o}: {found:?}");
            assert!(found.iter().all(|it| it.to_do.starts_with("chmod 600 ")), "{found:?}");
        }
    }
}
