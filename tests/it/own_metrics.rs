//! Promise: `/metrics` exposes what the list of metric names says, under exactly these names and labels, in OpenMetrics.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dashboards::metric_names::{MetricKind, MetricName};
use tests::harness::{Http, Process, free_port, until};
use tests::program::{Program, binary};

const SOON: Duration = Duration::from_mins(1);

/// Family of each `# TYPE` line, with its type.
fn families(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

/// Label names of each series, by its name.
fn labels(text: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        // An exemplar's own labels stand behind ` # `.
        let sample = line.split(" # ").next().unwrap_or_default();
        let Some((series, rest)) = sample.split_once('{') else { continue };
        let names = rest.split("=\"").filter_map(|part| part.rsplit(['"', ',', '{']).next());
        let inside = rest.matches("=\"").count();
        found.entry(series).or_default().extend(names.take(inside));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_in_the_list_and_exposed_as_it_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    // Sampling has metrics only where it is configured.
    let sections =
        format!("store: {{dir: '{}'}}\nsampling: {{rules: [{{name: rest, keep: 0.5}}]}}\n", data.display());
    let trefoil = Program::start_configured(&data, &folder.path().join("pods/*/*/*.log"), &sections).await?;
    let http = Http::new()?;
    let base = format!("http://{}", trefoil.main);
    // So that the request metrics have a series.
    http.get(&format!("{base}/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736")).await?;
    let accept = [("accept", "application/openmetrics-text; version=1.0.0")];
    let answer = http.get_with(&format!("{base}/metrics"), &accept).await?;
    ensure!(answer.status == 200, "{}", answer.status);
    ensure!(answer.content_type.starts_with("application/openmetrics-text"), "{}", answer.content_type);
    let text = answer.text();
    ensure!(text.ends_with("# EOF\n"), "the end is marked");

    // An agent has metrics that a gateway has not.
    let port = free_port()?;
    let config = folder.path().join("agent.yaml");
    std::fs::write(
        &config,
        format!(
            "server: {{listen: '127.0.0.1:{port}'}}\ncollect: {{files: [], positions_dir: '{}', node: n1, kubernetes: {{api: {{url: 'http://127.0.0.1:1'}}}}}}\nship: {{trefoil: {{url: '{base}'}}}}\n",
            folder.path().join("positions").display()
        ),
    )?;
    let mut command = Command::new(binary()?);
    command.arg("agent").arg("--config").arg(&config);
    let _agent = Process::start("trefoil agent", &mut command, &folder.path().join("agent.out"))?;
    let url = format!("http://127.0.0.1:{port}/metrics");
    let answer = until("the agent's metrics", SOON, || http.get(&url)).await?;
    let text = text.trim_end_matches("# EOF\n").to_owned() + &answer.text();
    ensure!(text.ends_with("# EOF\n"), "the end is marked");

    let (families, labels) = (families(&text), labels(&text));
    for (family, kind) in &families {
        let name = MetricName::ALL.into_iter().find(|name| name.family() == *family);
        let name = name.with_context(|| format!("{family} is not in the list"))?;
        let expected = match name.kind() {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::Info => "info",
        };
        ensure!(*kind == expected, "{family} is a {kind}");
        for series in [name.series(), name.buckets()] {
            for label in labels.get(series.as_str()).into_iter().flatten() {
                ensure!(*label == "le" || name.labels().contains(label), "{series} has the label {label}");
            }
        }
    }
    let missing: Vec<String> = MetricName::ALL
        .iter()
        .map(|name| name.family())
        .filter(|name| !families.contains_key(name.as_str()))
        .collect();
    // Series with labels come with their first event; what has none is there from the start.
    let unexplained: Vec<&String> = missing
        .iter()
        .filter(|family| {
            MetricName::ALL.iter().any(|name| name.family() == **family && name.labels().is_empty())
        })
        .collect();
    ensure!(unexplained.is_empty(), "in the list, but not exposed: {unexplained:?}");
    trefoil.stop().await
}
