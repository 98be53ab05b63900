//! Whether the clock is right, and who says so.

use crate::{
    api::{Check, Finding},
    clock::{ClockStatus, Trust},
};

/// Judges the configuration and what the clocks show.
pub(super) fn judge(trust: Trust, status: &ClockStatus) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(advice) = status.advice() {
        let what = "trusted time does not follow the machine's wall clock";
        findings.push(Finding::error(Check::Clock, what, advice));
    }
    match trust {
        Trust::Always => findings.push(Finding::warning(
            Check::Clock,
            "clock.trust is \"always\": a wall clock that is set to a wrong date destroys what has expired by it",
            "run a time service and remove clock.trust",
        )),
        Trust::Check if !status.is_synchronised => findings.push(Finding::warning(
            Check::Clock,
            "the kernel does not report that a time service keeps the clock right",
            "run systemd-timesyncd, ntpd, or chrony with `rtcsync`; in a container, on its host",
        )),
        Trust::Check => {}
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Severity, clock::Timestamp};

    fn status(is_followed: bool, is_synchronised: bool) -> ClockStatus {
        ClockStatus {
            trusted: Timestamp::from_secs(1_000_000),
            wall: Timestamp::from_secs(1_000_000 + if is_followed { 0 } else { 90_000 }),
            wall_ahead_seconds: if is_followed { 0 } else { 90_000 },
            is_followed,
            is_synchronised,
            probation_seconds: None,
        }
    }

    #[test]
    fn a_clock_that_is_followed_and_kept_right_is_good() {
        assert_eq!(judge(Trust::Check, &status(true, true)), []);
        for (trust, is_followed, is_synchronised, severity, named) in [
            (Trust::Always, true, true, Severity::Warning, "clock.trust"),
            (Trust::Check, true, false, Severity::Warning, "time service"),
            (Trust::Check, false, true, Severity::Error, "does not follow"),
        ] {
            let found = judge(trust, &status(is_followed, is_synchronised));
            let [finding] = &*found else { panic!("{found:?}") };
            assert_eq!((finding.check, finding.severity), (Check::Clock, severity));
            assert!(finding.what.contains(named), "{}", finding.what);
        }
        let advice = &judge(Trust::Check, &status(false, true))[0].to_do;
        assert!(
            advice.contains("1d 1h ahead") && advice.contains("dispatchd clock trust"),
            "{advice}"
        );
    }
}
