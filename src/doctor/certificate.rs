//! Whether clients take the certificate of the listeners, now and in two weeks.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    api::{Check, Finding},
    clock::Timestamp,
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
