//! `GET /api/v1/patterns`: what shapes the lines of a service have, which of them are new or risen, and its exceptions.

use axum::http::HeaderMap;
use axum::response::Response;
use correlate::{
    Counted, ExampleTrace, ExceptionGroup, FoundPattern, LogPatterns, PatternQuestion, PatternReport, Verdict,
};
use parsers::record::{Severity, format_rfc3339};
use serde::Serialize;
use store::read::Window;
use utoipa::ToSchema;

use super::request::{Failure, Refusal, Shared, answer, instant, limit, of_tenant, window};
use super::shape::AbsenceBody;
use crate::State;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;

/// Patterns, and exceptions, of an answer when the client does not say: a screen of each.
const DEFAULT_LIMIT: usize = 50;
/// Most of them.
const MAX_LIMIT: usize = 1_000;

/// Patterns of lines, and exceptions. All keys are always there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PatternsBody {
    /// The service that was asked for.
    service: Option<String>,
    /// What was counted of the window.
    window: CountedBody,
    /// What was counted of the window that it is compared with.
    against: CountedBody,
    /// Surely new or risen ones first, those of worse levels first among them; then other new ones; then all else by count.
    patterns: Vec<PatternBody>,
    /// Exceptions of lines and spans by type and normalised stack, in the same order.
    exceptions: Vec<ExceptionBody>,
    /// What is not in this answer, and why.
    absent: Vec<AbsenceBody>,
    /// What a reader should know before trusting the rest: what was cut, and where.
    warnings: Vec<String>,
}

/// What was counted of a window.
#[derive(Debug, Serialize, ToSchema)]
struct CountedBody {
    start_unix_nano: String,
    end_unix_nano: String,
    /// From when on every line is counted: `start_unix_nano`, or later if a bound was met.
    counted_from_unix_nano: String,
    /// When its lines begin, where that is much later than the window does and no line is older: counts are compared by the time since
    /// then. Null otherwise.
    begins_unix_nano: Option<String>,
    /// Whether the whole window is counted.
    complete: bool,
    /// Lines; the counts of all patterns and `other_lines` add up to it.
    lines: u64,
    /// Lines without words, and of patterns that gave way to others.
    other_lines: u64,
    /// Spans that were looked at for exceptions.
    spans: u64,
}

/// Lines of one shape.
#[derive(Debug, Serialize, ToSchema)]
struct PatternBody {
    /// What they have in common, `<_>` for what changes, as LogQL's `|>` reads it.
    pattern: String,
    /// `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `unknown`.
    level: &'static str,
    /// Lines in the window.
    count: u64,
    /// Lines in the window that it is compared with.
    count_against: u64,
    #[serde(flatten)]
    news: NewsBody,
    /// First seen in either window.
    first_unix_nano: String,
    /// Last seen in either window.
    last_unix_nano: String,
    /// A line, of the window if it has any, shortened.
    example: String,
    /// Traces of the window that have such a line, at most three, those with stored spans first.
    traces: Vec<ExampleBody>,
    /// LogQL for these lines.
    query: String,
}

/// How a count compares with the other window's.
#[derive(Debug, Serialize, ToSchema)]
struct NewsBody {
    /// `new`, `rising`, `steady`, `falling`, `gone`, or `unknown` where there is nothing to compare with. Rising and falling are
    /// said only where chance does not explain it.
    novelty: &'static str,
    /// How many times as many as traffic as a whole lets expect; null if there were none before.
    ratio: Option<f64>,
    /// How probable such a difference is by chance, corrected for the number of comparisons.
    p_value: f64,
    /// Whether `p_value` is below 0.01.
    significant: bool,
}

/// A trace in which it was seen.
#[derive(Debug, Serialize, ToSchema)]
struct ExampleBody {
    trace_id: String,
    span_id: Option<String>,
    time_unix_nano: String,
    /// Whether spans of it are stored.
    stored: bool,
}

/// Exceptions of one type and stack.
#[derive(Debug, Serialize, ToSchema)]
struct ExceptionBody {
    /// `java`, `python`, `go`, `node`, `dotnet`, `ruby`, `php` or `rust`; null without a stack.
    language: Option<&'static str>,
    /// The exception's class; of Go and Rust `panic`, of Go also `runtime error`.
    #[serde(rename = "type")]
    kind: String,
    /// The class of the innermost cause, if it wraps another.
    cause: Option<String>,
    /// What one of them said.
    message: String,
    /// Functions, innermost first, without lines, addresses and numbers of lambdas.
    stack: Vec<String>,
    /// How often in the window; what a line and the span that it names both tell counts once, and so does what several spans tell of
    /// one on its way out.
    count: u64,
    /// How often in the window that it is compared with.
    count_against: u64,
    /// Lines of the window that hold it.
    in_logs: u64,
    /// Span events of the window that hold it.
    in_spans: u64,
    #[serde(flatten)]
    news: NewsBody,
    first_unix_nano: String,
    last_unix_nano: String,
    /// Services that it was seen in.
    services: Vec<String>,
    /// Traces of the window that have it, at most three, those with stored spans first.
    traces: Vec<ExampleBody>,
}

/// Patterns of the lines of a service, with what is new, and its exceptions.
#[utoipa::path(
    get,
    path = "/api/v1/patterns",
    params(
        ("service" = Option<String>, Query, description = "Lines of streams that name it (labels service_name, service, app, job, \
            container) or are of its pods; without it all lines are looked at"),
        ("labels" = Option<String>, Query, description = "A LogQL selector that streams must meet as well, and of spans what their resources say \
            under these labels"),
        ("against" = Option<String>, Query, description = "What to compare with: `START/END`, or a duration right before `start` \
            (`1h`); as long a time as the window right before it if not given"),
        ("tenant" = Option<String>, Query, description = "Only records of this tenant"),
        ("limit" = Option<usize>, Query, description = "Patterns, and exceptions, at most; 50"),
        Shared,
    ),
    responses(
        (status = 200, description = "Counted from the stored lines", body = PatternsBody),
        (status = 400, description = "A parameter cannot be read", body = Refusal),
    )
)]
pub(super) async fn patterns(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let state = of_tenant(state, &parameters, &headers)?;
    Ok(answer(&parameters, &find(&state, &parameters).await?))
}

/// The answer to the question that the parameters ask.
async fn find(state: &State, parameters: &Parameters) -> Result<PatternsBody, Failure> {
    let service = parameters.get("service").map(str::to_owned);
    let window = window(parameters, now())?;
    let against = against(parameters, window)?;
    let limit = limit(parameters, DEFAULT_LIMIT, MAX_LIMIT)?;
    let matchers = match parameters.get("labels") {
        Some(labels) => query::logql::parse_selector(labels)
            .map_err(|error| Refusal::new(format!("invalid labels {labels:?}: {error}")))?,
        None => Vec::new(),
    };
    let question = PatternQuestion {
        matchers,
        tenant: parameters.get("tenant").map(str::to_owned),
        ..PatternQuestion::new(service.clone(), window, against, limit)
    };
    let patterns = LogPatterns::new(state.logs.clone(), state.traces.clone(), state.correlator.mapping());
    let mut report = state.reads.run(move || patterns.find(&question)).await??;
    report.warnings.extend(of_windows(window, against));
    Ok(body(service, report))
}

/// What is odd about what is compared.
fn of_windows(window: Window, against: Window) -> Option<String> {
    if against.start >= against.end {
        return Some("nothing lies before `start` to compare with: name a window with `against`".to_owned());
    }
    let (from, to) = (window.start.max(against.start), window.end.min(against.end));
    (from < to).then(|| {
        let (from, to) = (format_rfc3339(from), format_rfc3339(to));
        format!("`against` overlaps the window: lines between {from} and {to} count in both")
    })
}

/// `START/END`, or a duration before the window.
fn against(parameters: &Parameters, window: Window) -> Result<Window, Refusal> {
    let length = window.end - window.start;
    let before = |length: u64| Window { start: window.start.saturating_sub(length), end: window.start };
    let Some(text) = parameters.get("against") else { return Ok(before(length)) };
    let Some((start, end)) = text.split_once('/') else {
        return match parameters.duration("against")?.unwrap_or(length) {
            0 => {
                let detail = format!(
                    "invalid against {text:?}: expected a duration above zero such as 1h, or START/END"
                );
                Err(Refusal::new(detail))
            }
            length => Ok(before(length)),
        };
    };
    let pair = Parameters::from([("start", start), ("end", end)]);
    let time = |name: &'static str| -> Result<u64, Refusal> {
        let malformed = |detail: String| {
            Refusal::new(format!(
                "invalid against {text:?}: {detail}; expected START/END, or a duration such as 1h"
            ))
        };
        let time = instant(&pair, name).map_err(|error| malformed(error.to_string()))?;
        time.ok_or_else(|| malformed(format!("no {name}")))
    };
    let against = Window { start: time("start")?, end: time("end")? };
    if against.start >= against.end {
        return Err(Refusal::new(format!("invalid against {text:?}: its start is not before its end")));
    }
    Ok(against)
}

fn body(service: Option<String>, report: PatternReport) -> PatternsBody {
    PatternsBody {
        service,
        window: counted(&report.window),
        against: counted(&report.against),
        patterns: report.patterns.into_iter().map(pattern).collect(),
        exceptions: report.exceptions.into_iter().map(exception).collect(),
        absent: report.absent.iter().map(AbsenceBody::from).collect(),
        warnings: report.warnings,
    }
}

fn counted(counted: &Counted) -> CountedBody {
    CountedBody {
        start_unix_nano: counted.window.start.to_string(),
        end_unix_nano: counted.window.end.to_string(),
        counted_from_unix_nano: counted.from.to_string(),
        begins_unix_nano: counted.begins.map(|begins| begins.to_string()),
        complete: counted.from == counted.window.start,
        lines: counted.lines,
        other_lines: counted.other,
        spans: counted.spans,
    }
}

fn news(verdict: &Verdict) -> NewsBody {
    NewsBody {
        novelty: verdict.novelty.as_str(),
        ratio: verdict.ratio,
        p_value: verdict.p_value,
        significant: verdict.is_significant(),
    }
}

fn example(example: &ExampleTrace) -> ExampleBody {
    ExampleBody {
        trace_id: example.trace_id.to_string(),
        span_id: example.span_id.map(|span| span.to_string()),
        time_unix_nano: example.time.to_string(),
        stored: example.stored,
    }
}

fn pattern(found: FoundPattern) -> PatternBody {
    PatternBody {
        level: Severity::as_str(found.level),
        count: found.count,
        count_against: found.count_against,
        news: news(&found.verdict),
        first_unix_nano: found.first.to_string(),
        last_unix_nano: found.last.to_string(),
        example: found.example,
        traces: found.traces.iter().map(example).collect(),
        query: found.query,
        pattern: found.pattern,
    }
}

fn exception(found: ExceptionGroup) -> ExceptionBody {
    ExceptionBody {
        language: found.language.map(|language| language.as_str()),
        count: found.count,
        count_against: found.count_against,
        in_logs: found.in_logs,
        in_spans: found.in_spans,
        news: news(&found.verdict),
        first_unix_nano: found.first.to_string(),
        last_unix_nano: found.last.to_string(),
        services: found.services,
        traces: found.traces.iter().map(example).collect(),
        kind: found.kind,
        cause: found.cause,
        message: found.message,
        stack: found.frames,
    }
}
