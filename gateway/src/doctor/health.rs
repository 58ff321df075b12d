//! Whether the servers behind data sources answer what "Save & test" asks, what stands in the way where they do not, and whether
//! their clocks agree with the one here.

use serde_json::Value;

use super::Patient;
use super::ask::{Answer, Trouble};
use super::report::Finding;
use super::sources::DataSource;

/// The plugins that are known here.
const KINDS: [&str; 5] = ["loki", "tempo", "jaeger", "zipkin", "prometheus"];
/// Where servers often have their API: Trefoil's own paths, and none.
const PATHS: [&str; 5] = ["", "/tempo", "/jaeger", "/zipkin", "/prometheus"];
/// Clocks may differ by so much, s: less than the shortest window that Grafana offers, five minutes, by a good deal.
const MAX_SKEW: i64 = 60;

/// What a plugin asks to see whether its server is one, if it has a part in this.
fn question(kind: &str) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
    Some(match kind {
        "loki" => ("/loki/api/v1/query", &[("query", "vector(1)+vector(1)"), ("time", "4000000000")]),
        "tempo" => ("/api/echo", &[]),
        "jaeger" => ("/api/services", &[]),
        "zipkin" => ("/api/v2/services", &[]),
        "prometheus" => ("/api/v1/query", &[("query", "1+1"), ("time", "4")]),
        _ => return None,
    })
}

/// Whether the answer is one that the plugin understands: some servers answer everything with a page.
fn fits(kind: &str, answer: &Value) -> bool {
    match kind {
        "loki" | "prometheus" => answer["data"]["resultType"].is_string(),
        "jaeger" => answer.get("data").is_some(),
        "zipkin" => answer.is_array(),
        _ => true,
    }
}

async fn answers(patient: &Patient<'_>, source: &DataSource, at: &str, kind: &str) -> Option<Answer> {
    let (path, parameters) = question(kind)?;
    let answer = patient.doorway.ask_at(source, at, path, parameters).await.ok()?;
    fits(kind, &answer.json).then_some(answer)
}

/// Whether a data source's server answers, and whether its clock is right.
pub(super) async fn of(patient: &Patient<'_>, source: &DataSource) -> Vec<Finding> {
    const LINK: &str = "server";
    let Some((path, parameters)) = question(&source.kind) else {
        return vec![Finding::skipped(source, LINK, "a plugin that has no part in this")];
    };
    match patient.doorway.ask_at(source, &source.url, path, parameters).await {
        Ok(answer) if fits(&source.kind, &answer.json) => {
            let fine = Finding::alive(source, LINK, format!("{} answers", source.url));
            std::iter::once(fine).chain(skewed(source, answer.clock, now())).collect()
        }
        Ok(_) => {
            let detail = format!("{}{path} answers, but not as a {} does", source.url, source.kind);
            vec![Finding::dead(source, LINK, detail, elsewhere(patient, source).await)]
        }
        Err(trouble) => {
            let remedy = remedy(patient, source, &trouble).await;
            vec![Finding::dead(source, LINK, trouble.to_string(), remedy)]
        }
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

async fn remedy(patient: &Patient<'_>, source: &DataSource, trouble: &Trouble) -> String {
    if trouble.is_refusal() {
        return "give the data source a token that may read: `jsonData.httpHeaderName1: Authorization` and \
                `secureJsonData.httpHeaderValue1: Bearer ...` (trefoil provision grafana --token-file writes them)"
            .to_owned();
    }
    if trouble.is_distrust() {
        return "let the data source trust the server's authority: `jsonData.tlsAuthWithCACert: true` and \
                `secureJsonData.tlsCACert` (here: --ca-file)"
            .to_owned();
    }
    if trouble.is_elsewhere() {
        return elsewhere(patient, source).await;
    }
    "correct the data source's `url`, or start what it names".to_owned()
}

/// What there is at the address, or near it, that the data source could have meant.
async fn elsewhere(patient: &Patient<'_>, source: &DataSource) -> String {
    let unknown = || format!("set `url` to where a {} is, with its path", source.kind);
    if !patient.doorway.is_direct() {
        return unknown();
    }
    let Ok(mut root) = reqwest::Url::parse(&source.url) else { return unknown() };
    let is_root = matches!(root.path(), "" | "/");
    root.set_path("");
    let root = root.as_str().trim_end_matches('/').to_owned();
    let meant = |kind: &str| {
        format!("a {kind} answers there: set `type: {kind}`, or `url` to where a {} is", source.kind)
    };
    let mut other = None;
    // A Tempo's question comes last: whatever has a page for every path answers it.
    for kind in KINDS.into_iter().filter(|kind| *kind != source.kind && *kind != "tempo") {
        if answers(patient, source, &source.url, kind).await.is_some() {
            other = Some(kind);
            break;
        }
    }
    // At the root there may be several; below it somebody meant one.
    if let Some(kind) = other.filter(|_| !is_root) {
        return meant(kind);
    }
    for path in PATHS {
        let at = format!("{root}{path}");
        if at != source.url && answers(patient, source, &at, &source.kind).await.is_some() {
            return format!("set `url` to {at}, where a {} answers", source.kind);
        }
    }
    if let Some(kind) = other {
        return meant(kind);
    }
    if answers(patient, source, &source.url, "tempo").await.is_some() {
        return meant("tempo");
    }
    unknown()
}

/// A clock that is wrong: Grafana asks for windows of its own clock's time, and records have their servers'.
fn skewed(source: &DataSource, clock: Option<i64>, now: i64) -> Option<Finding> {
    let ahead = clock?.saturating_sub(now);
    if ahead.abs() <= MAX_SKEW {
        return None;
    }
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    Some(Finding::dead(
        source,
        "clock",
        format!("the server's clock is {} s {side} the one here", ahead.abs()),
        "set both clocks by NTP: Grafana asks for the last minutes of its own clock",
    ))
}
