//! Whether the log's copies in an object store are complete, and whether they are forgotten in time.

use std::{path::Path, time::Duration};

use crate::{
    api::{Check, Finding},
    config::Config,
    files,
    query_log::CopyFigures,
};

/// Copies that lag by more than this many intervals need attention, and by more than [`LAG_MIN`].
const LAG_INTERVALS_MAX: u32 = 4;
/// A store may be slow for a moment.
const LAG_MIN: Duration = Duration::from_secs(60);

/// Judges the configuration.
pub(super) fn judge(config: &Config) -> Vec<Finding> {
    let store = &config.log.store;
    if !store.is_on() {
        let finding = Finding::warning(
            Check::Store,
            "log.store is not set: if this machine is lost, so are the records of its lookups",
            "name an object store in log.store.url",
        );
        return config.cluster.is_on().then_some(finding).into_iter().collect();
    }
    let directory = store.url.strip_prefix("file://").map(Path::new);
    let is_here = directory
        .and_then(|directory| files::share_file_system(directory, &config.server.data).ok())
        .unwrap_or(false);
    let unencrypted = store.endpoint.starts_with("http://") && store.allow_unencrypted;
    let findings = [
        (
            is_here,
            "log.store.url is a directory of the file system that the log lies on: who loses one loses both",
            "mount a directory of another machine there, or name an object store",
        ),
        (
            unencrypted,
            "the object store is asked without TLS: who is between can delete copies, and sees when the log grows",
            "let the store serve https://, and remove log.store.allow_unencrypted",
        ),
    ];
    let found = findings.into_iter().filter(|(is_so, ..)| *is_so);
    found.map(|(_, what, to_do)| Finding::warning(Check::Store, what, to_do)).collect()
}

/// Judges what a running server knows of its copies.
pub(super) fn judge_figures(interval: Duration, figures: &CopyFigures) -> Vec<Finding> {
    let CopyFigures { lag, expired, conflicts, error, .. } = figures;
    let mut findings = Vec::new();
    if let Some(error) = error {
        let what = format!("the log is not copied: {error}");
        let to_do = "let this machine reach the store of log.store with credentials that may list, read, create and delete objects";
        findings.push(Finding::error(Check::Store, what, to_do));
    } else if *lag > LAG_MIN.max(interval * LAG_INTERVALS_MAX) {
        let what = format!(
            "the copies of the log are {} s behind; if this machine is lost, so are the records of that time",
            lag.as_secs()
        );
        let to_do =
            "see in the log of the service what is not copied, and whether the store is slow";
        findings.push(Finding::warning(Check::Store, what, to_do));
    }
    if *expired > 0 {
        let what = format!(
            "{expired} objects of expired hours are still in the store; their keys are destroyed, so nobody can read them"
        );
        let to_do = "let the credentials of log.store delete objects, and look for a lock or a hold on the bucket";
        findings.push(Finding::error(Check::Store, what, to_do));
    }
    if *conflicts > 0 {
        let what = format!(
            "{conflicts} files of the log are not copied, because objects of their names hold other bytes"
        );
        let to_do = "see in the log of the service which; if the bucket has been changed by others, delete those objects";
        findings.push(Finding::error(Check::Store, what, to_do));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Severity;

    fn with(change: impl FnOnce(&mut Config)) -> Vec<Finding> {
        let mut config = Config::default();
        change(&mut config);
        judge(&config)
    }

    #[test]
    fn a_store_is_missed_in_a_cluster_only() {
        assert_eq!(with(|_| {}), []);
        let found = with(|config| config.cluster.engine = vec!["http://127.0.0.1:1".to_owned()]);
        assert!(found[0].what.contains("records of its lookups"), "{found:?}");
        let bucket = |config: &mut Config| config.log.store.url = "s3://logs".to_owned();
        assert_eq!(with(bucket), []);
        let unencrypted = with(|config| {
            bucket(config);
            config.log.store.endpoint = "http://store:9000".to_owned();
            config.log.store.allow_unencrypted = true;
        });
        assert!(unencrypted[0].what.contains("without TLS"), "{unencrypted:?}");
    }

    #[test]
    fn a_directory_beside_the_log_is_no_other_machine() {
        let folder = tempfile::tempdir().unwrap();
        let found = with(|config| {
            config.server.data = folder.path().to_owned();
            config.log.store.url = format!("file://{}", folder.path().display());
        });
        assert!(found[0].what.contains("loses both"), "{found:?}");
    }

    #[test]
    fn figures_are_judged() {
        let of = |figures: CopyFigures| judge_figures(Duration::from_secs(20), &figures);
        assert_eq!(of(CopyFigures::default()), []);
        let lag = |secs| CopyFigures { lag: Duration::from_secs(secs), ..CopyFigures::default() };
        assert_eq!(of(lag(80)), []);
        assert_eq!(of(lag(81))[0].severity, Severity::Warning);
        let short = judge_figures(Duration::from_secs(1), &lag(60));
        assert_eq!(short, []);
        let error = Some(crate::object_storage::StoreError::Denied);
        let found = of(CopyFigures { error, ..lag(1_000) });
        assert!(found.len() == 1 && found[0].what.contains("credentials"), "{found:?}");
        let bad = of(CopyFigures { expired: 2, conflicts: 1, ..CopyFigures::default() });
        assert!(bad.len() == 2 && bad.iter().all(|it| it.severity == Severity::Error), "{bad:?}");
    }
}
