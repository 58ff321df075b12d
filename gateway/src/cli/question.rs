//! The questions under `/api/v1` as commands: each asks a running gateway and shows what it answers.

use clap::{ArgGroup, Args, Subcommand};

use super::Failure;
use super::ask::Asked;
use crate::answer_view::{self, Question};
use crate::config::values;

/// Entries of a list that are shown: a screen.
const SHOWN: u16 = 20;

/// Questions about all that is stored, over a time.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Find what belongs to a trace, a span, a log line, a service, a metric or a workload.
    #[command(group(ArgGroup::new("from").required(true)))]
    Correlate(Correlate),
    /// Show the rates, errors and latencies of services, the one that fails most first.
    Services(Over),
    /// Show the rates, errors and latencies of operations, the one that fails most first.
    Operations {
        /// Only those of this service.
        service: Option<String>,
        #[command(flatten)]
        over: Over,
    },
    /// Show who calls whom, databases, queues and uninstrumented peers included.
    ServiceGraph(Over),
    /// Tell why the time of an operation varies: who has which share, with what goes with it.
    Variance {
        /// The service.
        service: String,
        /// The operation; without it, whatever enters the service.
        operation: Option<String>,
        #[command(flatten)]
        over: Over,
    },
    /// Tell what is different between two sets of traces, or two traces.
    Compare(Compare),
    /// Tell what versions of a service do otherwise.
    Versions {
        /// The service.
        service: String,
        /// The attribute that tells versions apart.
        #[arg(long, default_value = "service.version")]
        by: String,
        #[command(flatten)]
        over: Over,
    },
    /// Show the shapes of log lines, and exceptions: what is new and risen first.
    Patterns {
        /// Lines of this service; without it, all.
        service: Option<String>,
        /// A LogQL selector that streams must meet as well.
        #[arg(long)]
        labels: Option<String>,
        /// What to compare with: START/END, or a duration right before the window, such as 1h.
        #[arg(long)]
        against: Option<String>,
        #[command(flatten)]
        over: Over,
    },
    /// Show the traces behind the values of a metric, the highest value first.
    Exemplars {
        /// A PromQL selector, or an expression whose selectors count.
        query: String,
        /// Of each step the slowest, a typical and a failed request are shown.
        #[arg(long)]
        step: Option<String>,
        #[command(flatten)]
        over: Over,
    },
}

/// What every question has: a time, how much is shown, and whom to ask.
#[derive(Debug, Args)]
pub(super) struct Over {
    /// Of the time up to now that is asked about, such as 15m, 6h or 2d; an hour if no other time is given.
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["start", "end"])]
    since: Option<String>,
    /// From when on: RFC 3339, seconds or nanoseconds.
    #[arg(long)]
    start: Option<String>,
    /// Until when; now if not given.
    #[arg(long)]
    end: Option<String>,
    /// Entries of each list that are shown.
    #[arg(long, default_value_t = SHOWN, value_parser = clap::value_parser!(u16).range(1..))]
    limit: u16,
    #[command(flatten)]
    asked: Asked,
}

/// Where to start from.
#[derive(Debug, Args)]
pub(super) struct Correlate {
    /// A trace, in any spelling.
    #[arg(long, group = "from")]
    trace_id: Option<String>,
    /// A span.
    #[arg(long, group = "from")]
    span_id: Option<String>,
    /// A LogQL selector: the log line of that stream at --time.
    #[arg(long, group = "from", requires = "time")]
    labels: Option<String>,
    /// A service.
    #[arg(long, group = "from")]
    service: Option<String>,
    /// A PromQL selector, at --time or now.
    #[arg(long, group = "from")]
    metric: Option<String>,
    /// A Kubernetes workload: namespace/pod or namespace/deployment.
    #[arg(long, group = "from")]
    workload: Option<String>,
    /// When, for --labels and --metric: RFC 3339, seconds or nanoseconds.
    #[arg(long, conflicts_with_all = ["since", "start", "end"])]
    time: Option<String>,
    /// Only records of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    over: Over,
}

/// What to compare.
#[derive(Debug, Args)]
pub(super) struct Compare {
    /// TraceQL, or the id of a trace.
    a: String,
    /// TraceQL if A is, an id if A is; without it all other traces, or with --a-start and the like A's query again.
    b: Option<String>,
    /// The window of A alone.
    #[arg(long, requires = "a_end")]
    a_start: Option<String>,
    /// The window of A alone.
    #[arg(long, requires = "a_start")]
    a_end: Option<String>,
    /// The window of B alone.
    #[arg(long, requires = "b_end")]
    b_start: Option<String>,
    /// The window of B alone.
    #[arg(long, requires = "b_start")]
    b_end: Option<String>,
    #[command(flatten)]
    over: Over,
}

type Query = Vec<(&'static str, String)>;

/// Those that are given.
fn given<const N: usize>(pairs: [(&'static str, Option<String>); N]) -> Query {
    pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

impl Command {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Correlate(from) => from.run(),
            Self::Services(over) => over.ask(Question::Services, "services", Vec::new()),
            Self::Operations { service, over } => {
                over.ask(Question::Operations, "operations", given([("service", service)]))
            }
            Self::ServiceGraph(over) => over.ask(Question::ServiceGraph, "service-graph", Vec::new()),
            Self::Variance { service, operation, over } => {
                let query = given([("service", Some(service)), ("operation", operation)]);
                over.ask(Question::Variance, "analysis/variance", query)
            }
            Self::Compare(compare) => {
                let query = given([
                    ("a", Some(compare.a)),
                    ("b", compare.b),
                    ("a_start", compare.a_start),
                    ("a_end", compare.a_end),
                    ("b_start", compare.b_start),
                    ("b_end", compare.b_end),
                ]);
                compare.over.ask(Question::Compare, "analysis/compare", query)
            }
            Self::Versions { service, by, over } => {
                let query = given([("service", Some(service)), ("by", Some(by))]);
                over.ask(Question::Versions, "analysis/versions", query)
            }
            Self::Patterns { service, labels, against, over } => {
                let query = given([("service", service), ("labels", labels), ("against", against)]);
                over.ask(Question::Patterns, "patterns", query)
            }
            Self::Exemplars { query, step, over } => {
                let query = given([("query", Some(query)), ("step", step)]);
                over.ask(Question::Exemplars, "exemplars", query)
            }
        }
    }
}

impl Correlate {
    fn run(self) -> Result<(), Failure> {
        let query = given([
            ("trace_id", self.trace_id),
            ("span_id", self.span_id),
            ("labels", self.labels),
            ("service", self.service),
            ("metric", self.metric),
            ("workload", self.workload),
            ("time", self.time),
            ("tenant", self.tenant),
        ]);
        self.over.ask(Question::Correlate, "correlate", query)
    }
}

impl Over {
    fn ask(self, question: Question, endpoint: &str, mut query: Query) -> Result<(), Failure> {
        query.extend(given([("start", self.start), ("end", self.end)]));
        if let Some(since) = &self.since {
            let long = values::duration(since).map_err(|expected| Failure {
                message: format!("--since {since}: expected {expected}"),
                code: 2,
            })?;
            let now = jiff::Timestamp::now();
            let start =
                now.as_nanosecond().saturating_sub(i128::try_from(long.as_nanos()).unwrap_or(i128::MAX));
            query.push(("start", start.max(0).to_string()));
            query.push(("end", now.as_nanosecond().to_string()));
        }
        // Rates come busiest first and exemplars newest first: which are the worst is seen in all of them only.
        let sorted_here = matches!(
            question,
            Question::Services | Question::Operations | Question::ServiceGraph | Question::Exemplars
        );
        if !sorted_here || self.asked.json {
            query.push(("limit", self.limit.to_string()));
        }
        let most = usize::from(self.limit);
        let view = |answer: &_, options: &_| answer_view::render(question, answer, most, options);
        let nothing = "nothing was found; what is absent says why";
        self.asked
            .show(&format!("/api/v1/{endpoint}"), &query, nothing, view, |answer| question.found(answer))
    }
}
