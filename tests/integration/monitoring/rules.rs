//! The alert rules pass their own tests, and each has its cases and its runbook.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Output,
};

use super::prometheus::configuration;
use crate::{
    harness::run,
    repository::{debian_program, file, text},
};

const CASES: [&str; 2] = ["alerts.test.yml", "alerts.long.test.yml"];

fn promtool(arguments: &[&str]) -> Output {
    let mut promtool = debian_program("usr/bin/promtool");
    run(promtool.args(arguments).current_dir(file("config/prometheus")))
}

/// The rules of `alerts.yml`: name, the comment above, and the lines.
fn rules() -> Vec<(String, String, String)> {
    let text = text("config/prometheus/alerts.yml");
    let mut rules: Vec<(String, String, String)> = Vec::new();
    let mut comment = String::new();
    for line in text.lines() {
        if let Some(said) = line.trim().strip_prefix("# ") {
            comment = format!("{comment}{said}\n");
        } else if let Some(name) = line.trim().strip_prefix("- alert: ") {
            rules.push((name.to_owned(), std::mem::take(&mut comment), String::new()));
        } else {
            comment.clear();
            if let Some((_, _, lines)) = rules.last_mut() {
                *lines += &format!("{line}\n");
            }
        }
    }
    rules
}

#[test]
fn promtool_accepts_configuration_and_rules() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), "token", &["127.0.0.1:8081".into()]);
    for (arguments, expected) in [
        (["check", "config", config.to_str().unwrap()], "is valid prometheus config file syntax"),
        (["check", "rules", "alerts.yml"], "SUCCESS"),
    ] {
        let output = promtool(&arguments);
        let (printed, told) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && printed.contains(expected), "{printed}{told}");
    }
}

#[test]
fn each_alert_fires_in_its_cases_and_in_no_other() {
    let output = promtool(&["test", "rules", CASES[0], CASES[1]]);
    let (printed, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}{told}");
}

#[test]
fn each_alert_has_a_case_of_either_kind() {
    let mut cases: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for file in CASES {
        let text = text(&format!("config/prometheus/{file}"));
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            let Some(alert) = pair[0].strip_prefix("alertname: ") else { continue };
            let is_quiet = match pair[1] {
                "exp_alerts: []" => true,
                "exp_alerts:" => false,
                other => panic!("{file}: {alert} is followed by {other}"),
            };
            cases.entry(alert.to_owned()).or_default()[usize::from(is_quiet)] += 1;
        }
    }
    let tested: BTreeSet<_> = cases.keys().cloned().collect();
    let rules: BTreeSet<_> = rules().into_iter().map(|(name, ..)| name).collect();
    assert!(rules.len() >= 20, "{rules:?}");
    assert_eq!(tested, rules);
    for (alert, [fires, is_quiet]) in cases {
        assert!(fires > 0 && is_quiet > 0, "{alert}: {fires} cases fire, {is_quiet} do not");
    }
}

#[test]
fn each_alert_has_a_reason_a_severity_and_a_runbook() {
    let runbooks = text("docs/operators/runbooks.md");
    let headings: Vec<_> = runbooks.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    for (name, comment, lines) in rules() {
        assert!(!comment.is_empty(), "{name}: no comment gives the threshold's reason");
        let severities = ["severity: critical\n", "severity: warning\n"];
        assert!(severities.iter().any(|severity| lines.contains(severity)), "{name}: no severity");
        for annotation in ["summary: ", "description: "] {
            assert!(lines.contains(annotation), "{name}: no {annotation}");
        }
        let place = format!("runbook_url: docs/operators/runbooks.md#{}\n", name.to_lowercase());
        assert!(lines.contains(&place), "{name}: no {place}");
        let found = headings.iter().filter(|heading| **heading == name).count();
        assert_eq!(found, 1, "runbooks.md has {found} headings {name}");
    }
}

#[test]
fn each_runbook_of_an_alert_answers_four_questions() {
    let runbooks = text("docs/operators/runbooks.md");
    let alerts: Vec<_> = rules().into_iter().map(|(name, ..)| name).collect();
    let mut seen = 0;
    for section in runbooks.split("\n### ").skip(1) {
        let (heading, body) = section.split_once('\n').unwrap();
        if !heading.starts_with("Dispatchd") {
            continue;
        }
        assert!(alerts.iter().any(|alert| alert == heading), "there is no alert {heading}");
        for part in ["**Users:**", "**Look:**", "**Act:**", "**Over:**"] {
            assert_eq!(body.matches(part).count(), 1, "{heading}: {part}");
        }
        seen += 1;
    }
    assert_eq!(seen, alerts.len());
}
