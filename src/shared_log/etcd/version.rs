//! Which versions of etcd do what is needed.

/// A version of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    numbers: (u16, u16, u16),
    /// Whether it is a release and not a candidate for one.
    is_release: bool,
}

impl Version {
    /// Reads `3.4.23` or `3.7.0-rc.1`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        let parsed = (next()?, next()?, next()?);
        Some(Self { numbers: parsed, is_release: !text.contains('-') })
    }

    /// Whether its transactions are known to be good enough: no older version was tried, and none has had fixes since 2021.
    pub(super) fn is_supported(self) -> bool {
        self.numbers >= (3, 4, 0)
    }

    /// Whether its linearizable reads are never stale, even after a member was paused: etcd issue 20418, which came with 3.4.20 and 3.5.0
    /// and was fixed in March 2026.
    pub(super) fn has_fresh_reads(self) -> bool {
        match self.numbers {
            (3, 4, patch) => !(20..42).contains(&patch),
            (3, 5, patch) => patch >= 28,
            (3, 6, patch) => patch >= 9,
            later => self.is_release && later >= (3, 7, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_stale_reads_are_known() {
        let fresh = |text: &str| Version::parse(text).unwrap().has_fresh_reads();
        for stale in [
            "3.4.20",
            "3.4.23",
            "3.4.41",
            "3.5.0",
            "3.5.27",
            "3.6.0-rc.3",
            "3.6.0",
            "3.6.8",
            "3.7.0-alpha.0",
        ] {
            assert!(!fresh(stale), "{stale}");
        }
        for fixed in ["3.4.19", "3.4.42", "3.5.28", "3.6.9", "3.6.10+build", "3.7.0", "4.0.0"] {
            assert!(fresh(fixed), "{fixed}");
        }
    }

    #[test]
    fn old_versions_and_other_texts_are_refused() {
        let supported = |text: &str| Version::parse(text).unwrap().is_supported();
        assert!(supported("3.4.0") && supported("3.6.9") && supported("10.0.0"));
        assert!(!supported("3.3.27") && !supported("2.3.8"));
        for text in ["", "3", "3.4", "3.x.1", "latest"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
