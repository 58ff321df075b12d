//! A shop that has closed, a gateway that has heard all of it, and somebody who asks.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::Http;
use tests::program::{Program, binary};
use tests::shop::{Delivery, Line, Plan, Service, Span, Traffic, open};

/// From the last request to the last record of a file, on a machine that may be compiling.
pub(super) const SOON: Duration = Duration::from_mins(1);
/// How long ago a shop opened: longer than any is open, shorter than the hour for which patterns are kept.
const OPENED_AGO: u64 = 20 * 60 * 1_000_000_000;

/// The seeds of a run: one, or as many as `PLANTED_SEEDS` says.
fn seeds() -> Result<Vec<u64>> {
    const USUAL: u64 = 11;
    match std::env::var("PLANTED_SEEDS") {
        Ok(count) => Ok((1..=count.parse().context("PLANTED_SEEDS is a number")?).collect()),
        Err(_) => Ok(vec![USUAL]),
    }
}

/// Asks of a shop of each seed. With several, says how many were answered rightly; with any wrong, which, and what was said.
pub(super) async fn each_seed<F>(name: &str, ask: impl Fn(u64) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let seeds = seeds()?;
    let mut wrong = Vec::new();
    for &seed in &seeds {
        if let Err(error) = ask(seed).await {
            wrong.push(format!("seed {seed}: {error:#}"));
        }
    }
    if seeds.len() > 1 {
        eprintln!("{name}: {} of {}", seeds.len() - wrong.len(), seeds.len());
    }
    ensure!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
    Ok(())
}

/// A gateway that has heard a shop.
pub(super) struct Scene {
    _folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
    /// What was sent, and what is true of it.
    pub(super) traffic: Traffic,
    /// When the shop opened, in nanoseconds since the epoch.
    pub(super) opened: u64,
}

impl Scene {
    /// Opens a shop by this plan and tells a gateway of it.
    pub(super) async fn of(plan: Plan) -> Result<Self> {
        Self::configured(plan, "").await
    }

    /// As [`Scene::of`], with further sections of the gateway's configuration.
    pub(super) async fn configured(plan: Plan, sections: &str) -> Result<Self> {
        let now = jiff::Timestamp::now().as_nanosecond() as u64;
        let opened = (now - OPENED_AGO) / 1_000_000_000 * 1_000_000_000;
        let traffic = open(plan, opened);
        ensure!(traffic.closed < OPENED_AGO, "the shop is still open");
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let store = format!("store: {{dir: '{}'}}\n{sections}", at("data").display());
        let mut trefoil =
            Program::start_configured(&at("data"), &at("pods").join("*/*/*.log"), &store).await?;
        let http = Http::new()?;
        let delivery = Delivery { traffic: &traffic, opened, short_ids: plan.short_ids };
        let sent = delivery.send(&http, trefoil.main, &at("pods")).await?;
        if sections.is_empty() {
            trefoil.wait_for_records("logs", sent.logs, SOON).await?;
            trefoil.wait_for_records("traces", sent.spans, SOON).await?;
        }
        Ok(Self { _folder: folder, http, trefoil, traffic, opened })
    }

    /// Where its page is.
    pub(super) fn page(&self) -> String {
        format!("http://{}/", self.trefoil.main)
    }

    /// A moment of the shop, as questions name it: nanoseconds since the epoch.
    pub(super) fn at(&self, time: u64) -> String {
        (self.opened + time).to_string()
    }

    /// From the opening to the close.
    pub(super) fn whole(&self) -> [(&'static str, String); 2] {
        [("start", self.at(0)), ("end", self.at(self.traffic.closed + 1))]
    }

    /// When the fault set in, in nanoseconds of the shop.
    pub(super) fn turn(&self) -> Result<u64> {
        self.traffic.turned.context("nothing turned")
    }

    /// An answer, whatever its status.
    pub(super) async fn answer(&self, path: &str, question: &[(&str, String)]) -> Result<(u16, Value)> {
        let url = format!("http://{}{path}", self.trefoil.main);
        let url = reqwest::Url::parse_with_params(&url, question)?;
        let answer = self.http.get(url.as_str()).await?;
        let json = answer.json().with_context(|| format!("{url} was answered {}", answer.text()))?;
        Ok((answer.status, json))
    }

    /// An answer, which must be a good one.
    pub(super) async fn ask(&self, path: &str, question: &[(&str, String)]) -> Result<Value> {
        let (status, answer) = self.answer(path, question).await?;
        ensure!(status == 200, "{path} {question:?} was answered {status}: {answer}");
        Ok(answer)
    }

    /// What `trefoil` with these arguments, asking this gateway from a terminal of 120 columns, ends with and prints.
    pub(super) async fn command(&self, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
        let mut command = tokio::process::Command::new(binary()?);
        command.args(arguments).env("TREFOIL_URL", format!("http://{}", self.trefoil.main));
        let ended = command.env("COLUMNS", "120").output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((ended.status.code(), text(&ended.stdout), text(&ended.stderr)))
    }

    /// A question about the whole time.
    pub(super) async fn ask_of_all(&self, path: &str, question: &[(&'static str, &str)]) -> Result<Value> {
        let own = question.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let question: Vec<_> = own.chain(self.whole()).collect();
        self.ask(path, &question).await
    }

    /// What is different between the traces that meet two queries.
    pub(super) async fn compare(&self, a: &str, b: &str) -> Result<Value> {
        self.ask_of_all("/api/v1/analysis/compare", &[("a", a), ("b", b)]).await
    }

    /// What is different after the turn (`a`) from before it, in traces that meet a query.
    pub(super) async fn compare_after_with_before(&self, query: &str) -> Result<Value> {
        let turn = self.at(self.turn()?);
        let question = [
            ("a", query.to_owned()),
            ("b", query.to_owned()),
            ("a_start", turn.clone()),
            ("a_end", self.at(self.traffic.closed + 1)),
            ("b_start", self.at(0)),
            ("b_end", turn),
        ];
        self.ask("/api/v1/analysis/compare", &question).await
    }

    /// Everything about a trace.
    pub(super) async fn look_up(&self, trace: u128) -> Result<Value> {
        self.ask(&format!("/api/v1/traces/{trace:032x}"), &[]).await
    }

    /// The first trace of which this is true of all its spans.
    pub(super) fn trace(&self, wanted: impl Fn(&[&Span]) -> bool) -> Result<u128> {
        let mut traces: BTreeMap<u128, Vec<&Span>> = BTreeMap::new();
        for span in &self.traffic.spans {
            traces.entry(span.trace).or_default().push(span);
        }
        let found = traces.iter().find(|(_, spans)| wanted(spans));
        found.map(|(trace, _)| *trace).context("no such trace")
    }

    /// Lines of a trace.
    pub(super) fn lines(&self, trace: u128) -> impl Iterator<Item = &Line> {
        self.traffic.lines.iter().filter(move |line| line.belongs.0 == trace)
    }

    /// Whether a span is of this service.
    pub(super) fn is_of(&self, span: &Span, service: Service) -> bool {
        self.traffic.pods[span.pod].service == service
    }

    /// Ends the gateway.
    pub(super) async fn close(self) -> Result<()> {
        self.trefoil.stop().await
    }
}

/// A list of an answer.
pub(super) fn list<'a>(answer: &'a Value, key: &str) -> Result<&'a [Value]> {
    answer[key].as_array().map(Vec::as_slice).with_context(|| format!("no list `{key}` in {}", short(answer)))
}

/// So much of an answer as fits into a complaint.
pub(super) fn short(answer: &Value) -> String {
    answer.to_string().chars().take(3000).collect()
}

/// What each finding says in words, for complaints.
pub(super) fn words(answer: &Value) -> String {
    let findings = answer["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = findings.iter().take(12).map(|finding| {
        format!(
            "{} {:.3} {}",
            finding["kind"],
            finding["score"].as_f64().unwrap_or_default(),
            finding["what"]
        )
    });
    format!("{}; {}\n{}", answer["reason"], answer["warnings"], lines.collect::<Vec<_>>().join("\n"))
}

/// The first finding, or the first of a kind.
pub(super) fn first<'a>(answer: &'a Value, kind: Option<&str>) -> Result<&'a Value> {
    let mut findings = list(answer, "findings")?.iter();
    let first = findings.find(|finding| kind.is_none_or(|kind| finding["kind"] == kind));
    first.with_context(|| format!("no finding of {kind:?}: {}", words(answer)))
}
