//! Promise: `trefoil doctor` finds nothing dead in what Trefoil generates, and each planted fault in what somebody else set up, with
//! the setting that would mend it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dashboards::{Target, TargetKind};
use gateway::caller::Caller;
use gateway::doctor::{DataSource, Doorway, Finding, Outcome, examine, of_provisioning};
use serde_json::{Value, json};
use tests::harness::{Prometheus, until};
use tests::program::binary;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Orders arrive a second apart, metrics are exported every few seconds, series are made of spans every quarter of a minute.
const SOON: Duration = Duration::from_mins(2);

fn doorway() -> Doorway {
    Doorway::direct(Caller::default().of("").unwrap())
}

/// A running `trefoil demo`.
struct Demo {
    _child: Child,
    url: String,
}

impl Demo {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("demo.yaml");
        let text =
            "server: {listen: '127.0.0.1:0'}\nreceive: {otlp: {grpc: '127.0.0.1:0', http: '127.0.0.1:0'}}\n";
        std::fs::write(&config, text)?;
        let mut child = Command::new(binary()?)
            .arg("demo")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let first = tokio::time::timeout(SOON, lines.next_line()).await??.context("it says where it runs")?;
        let url = first.split_whitespace().find(|word| word.starts_with("http://")).context("an address")?;
        let url = url.trim_end_matches(',').to_owned();
        // What it says later must be read, or it would block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { _child: child, url })
    }

    fn sources(&self) -> Result<Vec<DataSource>> {
        let target = Target::new(TargetKind::File, self.url.as_str());
        Ok(of_provisioning(&dashboards::datasources(&target)?)?)
    }

    /// Waits until all links of what is generated lead somewhere.
    async fn ready(&self) -> Result<()> {
        let sources = self.sources()?;
        until("a demo whose links are all alive", SOON, || async {
            let findings = examine(&sources, &doorway(), None).await;
            let dead: Vec<&Finding> = findings.iter().filter(|f| f.outcome == Outcome::Dead).collect();
            ensure!(dead.is_empty(), "{dead:#?}");
            let alive =
                |link: &str| findings.iter().any(|f| f.outcome == Outcome::Alive && f.link.starts_with(link));
            for link in [
                "log line to trace",
                "trace by id",
                "span to logs",
                "span to metrics",
                "service map",
                "exemplar to trace",
            ] {
                ensure!(alive(link), "{link} is not alive: {findings:#?}");
            }
            Ok(())
        })
        .await
    }
}

fn settings<'a>(sources: &'a mut [DataSource], uid: &str) -> Result<&'a mut Value> {
    let source = sources.iter_mut().find(|source| source.uid == uid).context("a data source")?;
    Ok(&mut source.settings)
}

/// What is dead, with what would mend it.
async fn dead(sources: &[DataSource]) -> Vec<Finding> {
    let findings = examine(sources, &doorway(), None).await;
    findings.into_iter().filter(|finding| finding.outcome == Outcome::Dead).collect()
}

/// A fault: its name, how it is made, the link that it kills, and what the remedy says.
type Fault = (&'static str, fn(&mut [DataSource]) -> Result<()>, &'static str, &'static str);

const FAULTS: [Fault; 7] = [
    (
        "a uid that names nothing",
        |sources| {
            settings(sources, "trefoil-tempo")?["tracesToLogsV2"]["datasourceUid"] = json!("loki-old");
            Ok(())
        },
        "tracesToLogsV2",
        "trefoil-loki",
    ),
    (
        "a uid of another kind",
        |sources| {
            settings(sources, "trefoil-loki")?["derivedFields"][0]["datasourceUid"] =
                json!("trefoil-prometheus");
            Ok(())
        },
        "derivedFields `trace_id`",
        "trefoil-tempo",
    ),
    (
        "the first form of the link to logs",
        |sources| {
            let tempo = settings(sources, "trefoil-tempo")?;
            tempo["tracesToLogs"] = json!({"datasourceUid": "trefoil-loki", "tags": ["job"]});
            Ok(())
        },
        "tracesToLogs",
        "tracesToLogsV2",
    ),
    (
        "a metric that was renamed",
        |sources| {
            let tempo = settings(sources, "trefoil-tempo")?;
            let query = "sum(rate(http_server_request_duration_milliseconds_count{$__tags}[5m]))";
            tempo["tracesToMetrics"]["queries"] = json!([{"name": "Requests", "query": query}]);
            Ok(())
        },
        "span to metrics, `Requests`",
        "http_server_request_duration_seconds_count",
    ),
    (
        "a label that no stream has the service in",
        |sources| {
            let tempo = settings(sources, "trefoil-tempo")?;
            tempo["tracesToLogsV2"]["tags"] = json!([{"key": "service.name", "value": "namespace"}]);
            Ok(())
        },
        "span to logs",
        "service_name",
    ),
    (
        "an id that is looked for under another key",
        |sources| {
            let loki = settings(sources, "trefoil-loki")?;
            let field = json!({"name": "id", "matcherType": "label", "matcherRegex": "^traceID$",
                               "datasourceUid": "trefoil-tempo", "url": "${__value.raw}"});
            loki["derivedFields"] = json!([field]);
            Ok(())
        },
        "log line to trace",
        "^trace_id$",
    ),
    (
        "an exemplar's label that is called otherwise",
        |sources| {
            let prometheus = settings(sources, "trefoil-prometheus")?;
            prometheus["exemplarTraceIdDestinations"] =
                json!([{"name": "traceId", "datasourceUid": "trefoil-tempo"}]);
            Ok(())
        },
        "exemplar to trace",
        "trace_id",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dead_in_what_is_generated_and_each_planted_fault_is_found() -> Result<()> {
    let demo = Demo::start().await?;
    demo.ready().await?;
    for (fault, plant, link, remedy) in FAULTS {
        let mut sources = demo.sources()?;
        plant(&mut sources)?;
        let found = dead(&sources).await;
        let told = found.iter().find(|finding| finding.link == link);
        let told = told.with_context(|| format!("{fault}: nothing is dead at {link}: {found:#?}"))?;
        ensure!(told.remedy.as_ref().is_some_and(|said| said.contains(remedy)), "{fault}: {told:#?}");
        ensure!(found.len() == 1, "{fault} kills one link: {found:#?}");
    }
    let folder = tempfile::tempdir()?;
    let prometheus = Prometheus::start_receiver(folder.path()).await?;
    let mut sources = demo.sources()?;
    let own = sources.iter_mut().find(|source| source.kind == "prometheus").context("a Prometheus")?;
    own.url.clone_from(&prometheus.url);
    let found = dead(&sources).await;
    let of_exemplars = found.iter().find(|finding| finding.link == "exemplar to trace");
    ensure!(
        of_exemplars.and_then(|f| f.remedy.as_ref()).is_some_and(|said| said.contains("exemplar-storage")),
        "{found:#?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_request_to_follow_it_says_so() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let nobody =
        of_provisioning("datasources: [{name: Loki, uid: loki, type: loki, url: 'http://127.0.0.1:1'}]")?;
    let found = dead(&nobody).await;
    ensure!(
        found.iter().any(|finding| finding.link == "server" && finding.detail.contains("127.0.0.1:1")),
        "{found:#?}"
    );
    ensure!(found.iter().any(|finding| finding.link == "a request to follow"), "{found:#?}");
    Ok(())
}
