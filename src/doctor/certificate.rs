//! Whether clients take the certificate of the listeners, now and in two weeks, and whether the files of TLS in a cluster hold as long.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use x509_parser::pem::Pem;

use crate::{
    api::{Check, Finding},
    clock::Timestamp,
    cluster, files,
};

/// Somebody must have renewed it by then. Authorities issue for 45 to 90 days, and their clients renew after two thirds.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Reads the files of section `[tls]` as a start would: when the certificate expires, or why the pair cannot be served. None
/// without TLS.
#[derive(Clone)]
pub struct Certificate(pub Arc<dyn Fn() -> Option<Result<Timestamp, String>> + Send + Sync>);

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(…)")
    }
}

impl Certificate {
    /// Looks at the files. `now` is the machine's wall clock, as clients have theirs.
    pub(super) fn check(&self, now: Timestamp) -> Option<Finding> {
        judge(self.0()?, now)
    }
}

/// Looks at the files of TLS that the section `[cluster]` names.
pub(super) fn of_cluster(config: &cluster::Config, now: Timestamp) -> Vec<Finding> {
    let all = [
        ("engine_ca", &config.engine_ca),
        ("engine_certificate", &config.engine_certificate),
        ("members_ca", &config.members_ca),
    ];
    let named = all.into_iter().filter(|(_, path)| !path.as_os_str().is_empty());
    named.filter_map(|(key, path)| judge_file(key, path, now)).collect()
}

fn judge_file(key: &str, path: &Path, now: Timestamp) -> Option<Finding> {
    let file = path.display();
    let (what, to_do) = match first_expiry(path) {
        Err(why) => {
            let what = format!("cluster.{key}: {file} {why}");
            return Some(Finding::error(
                Check::Certificates,
                what,
                "repair the file, and restart the server",
            ));
        }
        Ok(at) if at <= now => (
            format!("cluster.{key}: a certificate in {file} expired at {at}"),
            "renew it, and restart the server",
        ),
        Ok(at) if at.since(now) < SOON => (
            format!(
                "cluster.{key}: a certificate in {file} expires at {at}, in less than two weeks"
            ),
            "renew it before then, and restart the server; once it has expired, etcd and the nodes do not reach each other",
        ),
        Ok(_) => return None,
    };
    Some(Finding::warning(Check::Certificates, what, to_do))
}

/// When the first certificate of a file expires, or why it cannot be read.
fn first_expiry(path: &Path) -> Result<Timestamp, String> {
    let text = files::read_small(path).map_err(|error| format!("cannot be read: {error}"))?;
    let damaged = || "is no PEM file of certificates".to_owned();
    let expiry = |pem: Result<Pem, _>| {
        let certificate = pem.ok()?;
        let expires = certificate.parse_x509().ok()?.validity().not_after.timestamp();
        Some(Timestamp::from_secs(u64::try_from(expires).ok()?))
    };
    let all: Option<Vec<_>> = Pem::iter_from_buffer(&text).map(expiry).collect();
    all.ok_or_else(damaged)?.into_iter().min().ok_or_else(damaged)
}

fn judge(read: Result<Timestamp, String>, now: Timestamp) -> Option<Finding> {
    match read {
        Err(error) => Some(Finding::error(
            Check::Certificates,
            format!("the certificate in the files cannot be served: {error}"),
            "repair what the message names; a running server serves the former certificate until it restarts",
        )),
        Ok(expires_at) if expires_at.since(now) < SOON => Some(Finding::warning(
            Check::Certificates,
            format!("the certificate expires at {expires_at}, in less than two weeks"),
            "renew it, and find out why nothing has renewed it by itself; new files are served within a minute",
        )),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Severity;

    /// The certificates of a file that expire at the beginnings of these years.
    fn certificates(years: &[i32]) -> String {
        let one = |year: &i32| {
            let mut params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(*year, 1, 1);
            params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
        };
        years.iter().map(one).collect()
    }

    #[test]
    fn the_first_certificate_of_a_file_of_the_cluster_that_expires_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let config = cluster::Config { engine_ca: file.clone(), ..cluster::Config::default() };
        let new_year = "2031-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
        let found = |now| of_cluster(&config, now);
        assert_eq!(found(new_year)[0].severity, Severity::Error, "there is no file");
        std::fs::write(&file, certificates(&[2040, 2031])).unwrap();
        assert_eq!(found(new_year.minus(SOON)), []);
        for (before, said) in
            [(SOON / 2, "in less than two weeks"), (Duration::ZERO, "expired at 2031-01-01")]
        {
            let found = found(new_year.minus(before));
            let [finding] = &*found else { panic!("{found:?}") };
            assert_eq!((finding.check, finding.severity), (Check::Certificates, Severity::Warning));
            assert!(
                finding.what.contains("cluster.engine_ca") && finding.what.contains(said),
                "{finding:?}"
            );
        }
        for text in
            ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            std::fs::write(&file, text).unwrap();
            assert_eq!(found(new_year)[0].severity, Severity::Error, "{text}");
        }
        assert_eq!(of_cluster(&cluster::Config::default(), new_year), []);
    }

    #[test]
    fn a_certificate_is_good_for_two_weeks_or_found() {
        const NOW: Timestamp = Timestamp::from_secs(1_795_420_800);
        assert_eq!(judge(Ok(NOW.plus(SOON)), NOW), None);
        let soon = judge(Ok(NOW.plus(SOON - Duration::from_secs(1))), NOW).unwrap();
        assert_eq!((soon.check, soon.severity), (Check::Certificates, Severity::Warning));
        let bad = judge(Err("tls.key: key.pem has mode 644".to_owned()), NOW).unwrap();
        assert_eq!(bad.severity, Severity::Error);
        assert!(bad.what.contains("key.pem has mode 644"), "{}", bad.what);
        let without = Certificate(Arc::new(|| None));
        assert_eq!(without.check(NOW), None);
    }
}
