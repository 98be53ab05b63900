//! The printed table: one row for each figure.

use std::fmt;

/// One figure of one attack.
pub(crate) struct Row {
    attack: &'static str,
    figure: String,
    got: String,
    bar: String,
    /// None: no bar.
    is_met: Option<bool>,
}

impl Row {
    /// A figure without a bar.
    pub(crate) fn shown(attack: &'static str, figure: impl Into<String>, got: String) -> Self {
        Self { attack, figure: figure.into(), got, bar: "-".into(), is_met: None }
    }

    /// A figure that must be at most `bar`.
    pub(crate) fn at_most(
        attack: &'static str,
        figure: impl Into<String>,
        got: u64,
        bar: u64,
    ) -> Self {
        let row = Self::shown(attack, figure, grouped(got));
        Self { bar: format!("<= {}", grouped(bar)), is_met: Some(got <= bar), ..row }
    }

    /// A figure that must be at least `bar`.
    pub(crate) fn at_least(
        attack: &'static str,
        figure: impl Into<String>,
        got: u64,
        bar: u64,
    ) -> Self {
        let row = Self::shown(attack, figure, grouped(got));
        Self { bar: format!(">= {}", grouped(bar)), is_met: Some(got >= bar), ..row }
    }

    /// A figure whose bar is said in words.
    pub(crate) fn holds(
        attack: &'static str,
        figure: impl Into<String>,
        got: String,
        bar: impl Into<String>,
        is_met: bool,
    ) -> Self {
        let row = Self::shown(attack, figure, got);
        Self { bar: bar.into(), is_met: Some(is_met), ..row }
    }

    /// A scenario that did not end.
    pub(crate) fn failed(attack: &'static str, error: &anyhow::Error) -> Self {
        Self::holds(attack, "the scenario itself", format!("{error:#}"), "it ends", false)
    }

    pub(crate) fn is_met(&self) -> bool {
        self.is_met != Some(false)
    }
}

/// Prints the names of the columns.
pub(crate) fn head() {
    println!("{:15} {:64} {:>26} {:>20}", "attack", "figure", "got", "bar");
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.is_met {
            Some(true) => "pass",
            Some(false) => "FAIL",
            None => "",
        };
        let Self { attack, figure, got, bar, .. } = self;
        let line = format!("{attack:15} {figure:64} {got:>26} {bar:>20} {verdict}");
        f.write_str(line.trim_end())
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The number in the middle. An even count has two; it is the lower one.
pub(crate) fn median(numbers: &mut [u64]) -> u64 {
    numbers.sort_unstable();
    numbers.get(numbers.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}
