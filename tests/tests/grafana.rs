//! The dashboard for Grafana asks for what the connector counts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside test functions"
)]

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use connector_tests::endpoint::{address, get, status_with_quota};
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Host, workspace};
use connector_tests::{opencti, virustotal};
use promql_parser::parser::{self, Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

/// Labels that Prometheus adds to what it scrapes.
const ADDED: [&str; 2] = ["instance", "job"];

/// Columns of a dashboard.
const COLUMNS: u64 = 24;

fn dashboard() -> Value {
    let file = workspace().join("deploy/grafana-dashboard.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// All values under a key, however deep.
fn values_of<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(values) => values.iter().for_each(|it| values_of(it, key, found)),
        Value::Object(values) => {
            found.extend(values.get(key));
            values.values().for_each(|it| values_of(it, key, found));
        }
        _ => {}
    }
}

fn texts_of(value: &Value, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    values_of(value, key, &mut found);
    let texts = found.into_iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// What a query asks for.
#[derive(Debug, Default)]
struct Asked {
    /// Labels by metric.
    labels: BTreeMap<String, BTreeSet<String>>,
    /// Labels that are grouped by.
    groups: BTreeSet<String>,
}

impl Asked {
    /// Reads a query, with values in place of Grafana's variables.
    fn of(query: &str) -> Self {
        let filled = query.replace("$__rate_interval", "5m");
        let expression = parser::parse(&filled).unwrap_or_else(|error| panic!("{query}: {error}"));
        let mut asked = Self::default();
        walk_expr(&mut asked, &expression).unwrap();
        assert!(!asked.labels.is_empty(), "{query} asks for nothing");
        asked
    }

    fn add(&mut self, selector: &VectorSelector) {
        let name = selector.name.clone().unwrap();
        let labels = selector.matchers.matchers.iter().map(|it| it.name.clone());
        self.labels.entry(name).or_default().extend(labels);
    }

    /// Says what of it does not exist among the labels of each metric.
    fn missing(&self, metrics: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
        let mut missing = Vec::new();
        for (metric, labels) in &self.labels {
            let Some(known) = metrics.get(metric) else {
                missing.push(format!("no metric {metric}"));
                continue;
            };
            for label in labels.union(&self.groups) {
                if !known.contains(label) && !ADDED.contains(&label.as_str()) {
                    missing.push(format!("no label {label} of {metric}"));
                }
            }
        }
        missing
    }
}

impl ExprVisitor for Asked {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        match expression {
            Expr::VectorSelector(selector) => self.add(selector),
            Expr::MatrixSelector(selector) => self.add(&selector.vs),
            Expr::Aggregate(aggregate) => {
                let labels = aggregate.modifier.iter().flat_map(|it| &it.labels().labels);
                self.groups.extend(labels.cloned());
            }
            _ => {}
        }
        Ok(true)
    }
}

/// The labels of each metric in Prometheus's text format.
fn read_metrics(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut metrics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let Some((series, _)) = line.rsplit_once(' ') else {
            continue;
        };
        let Expr::VectorSelector(selector) = parser::parse(series).unwrap() else {
            panic!("{line}");
        };
        let labels = selector.matchers.matchers.into_iter().map(|it| it.name);
        let known = metrics.entry(selector.name.unwrap()).or_default();
        known.extend(labels);
    }
    metrics
}

/// All queries: of panels and annotations, and what the variables are filled from.
fn queries(dashboard: &Value) -> Vec<String> {
    let mut queries = texts_of(dashboard, "expr");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    for variable in variables {
        let Some(definition) = variable["definition"].as_str() else {
            continue;
        };
        // The one is shown, the other is asked.
        assert_eq!(variable["query"]["query"], definition);
        let values = definition.strip_prefix("label_values(").unwrap();
        let (query, label) = values.strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
        queries.push(format!("sum by ({label}) ({query})"));
    }
    queries
}

#[tokio::test]
async fn every_query_names_metrics_and_labels_that_exist() -> Result<()> {
    let dashboard = dashboard();
    let queries = queries(&dashboard);
    assert!(queries.len() > 30);

    let scenario = Scenario {
        bodies: false,
        ..Scenario::of_today(30)
    };
    let virustotal = virustotal::Server::start(scenario.world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?
        .variable("CONNECTOR_EXPOSE_METRICS", "true")
        .variable("CONNECTOR_METRICS_PORT", "0")
        .setting("MAX_FILE_SIZE", "100000");
    let mut running = host.start(&["run"])?;
    let address = address(&mut running).await?;
    running.until_logged("notifications read").await?;
    status_with_quota(address).await?;
    let text = get(address, "/metrics").await?;
    let metrics = read_metrics(&text);
    for query in queries {
        let missing = Asked::of(&query).missing(&metrics);
        assert!(missing.is_empty(), "{query}: {missing:?}\n{text}");
    }
    // What a legend names.
    let labels: BTreeSet<&str> = metrics.values().flatten().map(String::as_str).collect();
    for legend in texts_of(&dashboard, "legendFormat") {
        for label in legend.split("{{").skip(1) {
            let (label, _) = label.split_once("}}").unwrap();
            assert!(labels.contains(label) || ADDED.contains(&label), "{legend}");
        }
    }
    running.end().await?;
    Ok(())
}

#[test]
fn a_query_for_what_does_not_exist_is_found() {
    let metrics = read_metrics(
        "# TYPE calls counter\ncalls{guest=\"a\",version=\"1\"} 3\nruns_total 1\n\n\
         delay_bucket{le=\"+Inf\"} 2\n",
    );
    let expected: [(&str, &[&str]); 6] = [
        (
            "sum by (guest) (increase(calls{version=~\"$version\"}[$__rate_interval]))",
            &[],
        ),
        ("calls{job=~\"$job\"} / on (instance) runs_total", &[]),
        (
            "histogram_quantile(0.5, sum by (le) (rate(delay_bucket[1h])))",
            &[],
        ),
        ("1 - (cals / runs_total)", &["no metric cals"]),
        ("max (calls{quota=\"x\"})", &["no label quota of calls"]),
        (
            "sum by (kind) (rate(runs_total[1h]))",
            &["no label kind of runs_total"],
        ),
    ];
    for (query, missing) in expected {
        assert_eq!(Asked::of(query).missing(&metrics), missing, "{query}");
    }
}

#[test]
fn panels_have_ids_of_their_own_and_do_not_overlap() {
    let dashboard = dashboard();
    let mut ids = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        let (x, y, width, height) = (place("x"), place("y"), place("w"), place("h"));
        assert!(x + width <= COLUMNS, "{title}");
        for column in x..x + width {
            for row in y..y + height {
                assert!(places.insert((column, row)), "{title} overlaps");
            }
        }
        let is_row = panel["type"] == "row";
        assert_eq!(panel["targets"].is_array(), !is_row, "{title}");
        assert!(is_row || panel["description"].is_string(), "{title}");
        let references = texts_of(&panel["targets"], "refId");
        let different: BTreeSet<_> = references.iter().collect();
        assert_eq!(different.len(), references.len(), "{title}");
    }
}

#[test]
fn it_loads_anywhere() {
    let dashboard = dashboard();
    // A dashboard with an id is taken for one of this Grafana's own.
    assert_eq!(dashboard["id"], Value::Null);
    // Of Grafana 10.3; later versions bring it up to date.
    assert_eq!(dashboard["schemaVersion"], 39);
    let variables: Vec<_> = texts_of(&dashboard["templating"]["list"], "name");
    assert_eq!(variables, ["datasource", "job", "instance"]);
    let mut sources = Vec::new();
    values_of(&dashboard, "datasource", &mut sources);
    for source in sources {
        let is_own = source["type"] == "grafana";
        assert!(is_own || source["uid"] == "${datasource}", "{source}");
    }
}
