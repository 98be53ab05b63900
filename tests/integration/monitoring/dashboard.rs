//! The dashboard for Grafana: its form, and the expressions in it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::repository::text;

/// An expression of a panel.
pub(super) struct Target {
    pub(super) panel: String,
    pub(super) expression: String,
}

/// The dashboard's file.
fn dashboard() -> Value {
    serde_json::from_str(&text("config/grafana/dispatchd.json")).unwrap()
}

/// Every expression, for all servers. Grafana replaces the variables like this.
pub(super) fn targets() -> Vec<Target> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter(|panel| panel["type"] != "row").flat_map(|panel| {
        panel["targets"].as_array().unwrap().iter().map(|target| Target {
            panel: panel["title"].as_str().unwrap().to_owned(),
            expression: in_a_minute(&target["expr"]),
        })
    });
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
    let annotations = annotations.map(|annotation| Target {
        panel: format!("annotation {}", annotation["name"].as_str().unwrap()),
        expression: in_a_minute(&annotation["expr"]),
    });
    targets.chain(annotations).collect()
}

fn in_a_minute(expression: &Value) -> String {
    expression.as_str().unwrap().replace("$instance", ".*").replace("$__rate_interval", "1m")
}

#[test]
fn every_panel_says_what_it_shows() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(
        (&variables[0]["name"], &variables[0]["type"]),
        (&"datasource".into(), &"datasource".into())
    );
    let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    let mut rows = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: the id is not unique");
        assert!(
            !title.is_empty() && titles.insert(title.clone()),
            "{title}: the title is not unique"
        );
        let place = &panel["gridPos"];
        let right = place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap();
        assert!(right <= 24, "{title} is wider than the dashboard");
        if panel["type"] == "row" {
            rows.push(title);
            continue;
        }
        assert!(text(&panel["description"]).ends_with('.'), "{title}: no description");
        assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{title}: no unit");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}: no expression");
        for source in
            targets.iter().map(|target| &target["datasource"]).chain([&panel["datasource"]])
        {
            assert_eq!(source["uid"], "${datasource}", "{title}: another data source");
        }
    }
    assert_eq!(
        rows,
        ["Service health", "Lookups", "Log", "Registry", "Codes", "Abuse", "Cluster", "Process"]
    );
}

#[test]
fn no_panel_covers_another() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let of = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for cell in (of("x")..of("x") + of("w"))
            .flat_map(|x| (of("y")..of("y") + of("h")).map(move |y| (x, y)))
        {
            assert!(taken.insert(cell), "{} covers another panel", panel["title"]);
        }
    }
}
