//! Counting lines by pattern: one scan of each selection of streams in each window.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use parsers::pattern::Miner;
use parsers::record::{Severity, Workload};
use rustc_hash::FxHashMap;
use store::read::{
    Direction, LogSelect, LogView, LogVisit, ReadError, ScanReport, SpanSelect, TraceRead, Window,
};

use super::exceptions::{self, Groups, Seen};
use super::novelty::{expected, judge};
use super::{Counted, ExampleTrace, FoundPattern, LogPatterns, PatternQuestion, Spent};
use crate::streams::{self, Selection, quoted, service_of, tenant_of};

/// Patterns of one level that are held: more than anybody reads, and lines that are all different fill it.
const LEVEL_PATTERNS: usize = 2_000;
/// Example traces of an entry of the answer.
pub(super) const EXAMPLES: usize = 3;
/// Those that are held until it is known which of them are stored.
const CANDIDATES: usize = 8;
/// Bytes of an example.
const EXAMPLE_BYTES: usize = 2_000;
/// What stands for a part that changes.
const VARIABLE: &str = "<_>";
/// The part of the bounds that the first of both windows may take.
const FIRST_PART: f64 = 0.5;
/// The part that lines may take, of which exceptions of spans leave some.
const LINES_PART: f64 = 0.8;
/// Lines that begin later than such a part of the window begin late.
const LATE: u64 = 20;
/// Traces of a service that are looked at for the names of its pods.
const POD_TRACES: usize = 200;

/// What was counted.
pub(super) struct Counts {
    pub(super) windows: [Counted; 2],
    pub(super) patterns: Vec<Kept>,
    pub(super) selectors: Vec<String>,
    pub(super) exceptions: Groups,
    pub(super) warnings: Vec<String>,
}

/// A pattern with its counts in both windows.
pub(super) struct Kept {
    text: String,
    level: Severity,
    counts: [u64; 2],
    first: u64,
    last: u64,
    /// Some of its lines go on over several lines of text.
    goes_on: bool,
    example: Vec<u8>,
    of_window: bool,
    traces: Vec<ExampleTrace>,
}

/// Counts lines in both windows.
pub(super) fn count(
    patterns: &LogPatterns,
    question: &PatternQuestion,
    spent: &mut Spent<'_>,
) -> Result<Counts, ReadError> {
    let windows = [question.window, question.against];
    let mut counting = Counting {
        patterns,
        question,
        miners: FxHashMap::default(),
        kept: FxHashMap::default(),
        exceptions: Groups::default(),
        side: 0,
        counted: windows.map(|window| Counted {
            window,
            from: window.start,
            begins: None,
            lines: 0,
            other: 0,
            spans: 0,
        }),
        first: [u64::MAX; 2],
    };
    let pods = match &question.service {
        Some(service) => pods(&*patterns.traces, service, question.window)?,
        None => BTreeSet::new(),
    };
    let mut warnings = Vec::new();
    let mut selectors = Vec::new();
    for (side, (window, part)) in windows.into_iter().zip([FIRST_PART * LINES_PART, LINES_PART]).enumerate() {
        counting.side = side;
        let selections = selections(patterns, question, &pods, window)?;
        for selection in &selections {
            let mut matchers = selection.matchers.clone();
            matchers.extend(question.matchers.iter().cloned());
            let direction = Direction::Backward;
            let select =
                LogSelect { matchers, window, direction, trace: None, contains: Vec::new(), mentions: None };
            let mut visit = Visit { counting: &mut counting, spent, part, reached: window.end, cut: false };
            let report = patterns.logs.scan_views(&select, true, &mut visit)?;
            let (reached, cut) = (visit.reached, visit.cut);
            spent.bytes += report.bytes;
            if cut && let Some(counted) = counting.counted.get_mut(side) {
                counted.from = counted.from.max(reached);
            }
            if report.damaged_blocks > 0 {
                warnings.push(format!("{} damaged blocks were passed over", report.damaged_blocks));
            }
        }
        if let Some(counted) =
            counting.counted.get(side).filter(|counted| counted.from > counted.window.start)
        {
            let which = if side == 0 { "the window" } else { "the window to compare with" };
            warnings.push(format!(
                "the newest {} lines of {which} were counted, back to {}: a question reads {} MiB in {} s at most; counts are compared \
                 by the time that is counted",
                counted.lines,
                parsers::record::format_rfc3339(counted.from),
                question.bytes >> 20,
                question.time.as_secs()
            ));
        }
        if let Some(begins) = counting.begins(&selections, spent)? {
            let which = if side == 0 { "the window" } else { "the window to compare with" };
            warnings.push(format!(
                "lines begin at {}, and none are older: counts of {which} are compared by the time since then",
                parsers::record::format_rfc3339(begins)
            ));
            if let Some(counted) = counting.counted.get_mut(side) {
                counted.begins = Some(begins);
            }
        }
        if question.service.is_some() {
            selectors.extend(selections.iter().map(Selection::text));
        }
    }
    selectors.sort();
    selectors.dedup();
    Ok(counting.counts(selectors, warnings))
}

fn selections(
    patterns: &LogPatterns,
    question: &PatternQuestion,
    pods: &BTreeSet<String>,
    window: Window,
) -> Result<Vec<Selection>, ReadError> {
    match &question.service {
        Some(service) => streams::of_service(&*patterns.logs, &patterns.mapping, service, pods, &[], window),
        None => {
            let by = ("service_name".to_owned(), String::new());
            Ok(vec![Selection { matchers: Vec::new(), by }])
        }
    }
}

/// The pods that the newest spans of a service name.
pub(crate) fn pods(
    traces: &dyn TraceRead,
    service: &str,
    window: Window,
) -> Result<BTreeSet<String>, ReadError> {
    let mut pods = BTreeSet::new();
    let mut left = POD_TRACES;
    let select = SpanSelect { window, service: Some(service.to_owned()), name: None };
    traces.scan_traces(&select, &mut |spans| {
        let own = spans.iter().filter(|span| span.resource.service() == service);
        pods.extend(own.filter_map(|span| Workload::from_resource(&span.resource).pod));
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(pods)
}

struct Counting<'a> {
    patterns: &'a LogPatterns,
    question: &'a PatternQuestion,
    miners: FxHashMap<Severity, Miner>,
    kept: FxHashMap<(Severity, u64), Kept>,
    exceptions: Groups,
    side: usize,
    counted: [Counted; 2],
    /// The oldest line of each window.
    first: [u64; 2],
}

/// Looks for a line of the tenant.
struct Any<'a, 'q> {
    tenant: Option<&'a str>,
    spent: &'a Spent<'q>,
    /// Whether there is one, or it was not found out.
    may_be: bool,
}

impl LogVisit for Any<'_, '_> {
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()> {
        self.may_be |= self.tenant.is_none() || tenant_of(view) == self.tenant;
        if self.may_be { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn progress(&mut self, so_far: &ScanReport) -> ControlFlow<()> {
        if self.spent.allows(so_far, LINES_PART) {
            return ControlFlow::Continue(());
        }
        self.may_be = true;
        ControlFlow::Break(())
    }
}

/// One scan.
struct Visit<'a, 'b, 'q> {
    counting: &'a mut Counting<'b>,
    spent: &'a Spent<'q>,
    part: f64,
    reached: u64,
    cut: bool,
}

impl LogVisit for Visit<'_, '_, '_> {
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()> {
        self.reached = view.time;
        self.counting.line(view);
        ControlFlow::Continue(())
    }

    fn progress(&mut self, so_far: &ScanReport) -> ControlFlow<()> {
        if self.spent.allows(so_far, self.part) {
            return ControlFlow::Continue(());
        }
        self.cut = true;
        ControlFlow::Break(())
    }
}

impl Counting<'_> {
    /// When the lines of the window in hand begin, if that is late in it and no line is older.
    fn begins(&self, selections: &[Selection], spent: &mut Spent<'_>) -> Result<Option<u64>, ReadError> {
        let (Some(counted), Some(first)) = (self.counted.get(self.side), self.first.get(self.side)) else {
            return Ok(None);
        };
        let Window { start, end } = counted.window;
        let late = first.saturating_sub(start) > end.saturating_sub(start) / LATE;
        if counted.lines == 0 || counted.from > start || !late {
            return Ok(None);
        }
        for selection in selections {
            let mut matchers = selection.matchers.clone();
            matchers.extend(self.question.matchers.iter().cloned());
            let (window, direction) = (Window { start: 0, end: start }, Direction::Backward);
            let select =
                LogSelect { matchers, window, direction, trace: None, contains: Vec::new(), mentions: None };
            let mut any = Any { tenant: self.question.tenant.as_deref(), spent, may_be: false };
            let report = self.patterns.logs.scan_views(&select, true, &mut any)?;
            let may_be = any.may_be;
            spent.bytes += report.bytes;
            if may_be {
                return Ok(None);
            }
        }
        Ok(Some(*first))
    }

    fn line(&mut self, view: &LogView<'_>) {
        let tenant = self.question.tenant.as_deref();
        if tenant.is_some() && tenant_of(view) != tenant {
            return;
        }
        let Some(counted) = self.counted.get_mut(self.side) else { return };
        counted.lines += 1;
        if let Some(first) = self.first.get_mut(self.side) {
            *first = (*first).min(view.time);
        }
        let example = view.trace_id.map(|trace_id| ExampleTrace {
            trace_id,
            span_id: view.span_id,
            time: view.time,
            stored: false,
        });
        if let Some(stack) = exceptions::of_line(view) {
            let service = service_of(&self.patterns.mapping, view.labels).unwrap_or_default();
            let seen = Seen {
                side: self.side,
                time: view.time,
                service,
                trace: example,
                in_span: false,
                again: false,
            };
            self.exceptions.note(stack, &seen);
        }
        let end = memchr::memchr(b'\n', view.line);
        let head = end.and_then(|end| view.line.get(..end)).unwrap_or(view.line);
        let miner = self.miners.entry(view.severity).or_insert_with(|| Miner::new(LEVEL_PATTERNS));
        let Some(mined) = miner.add(head) else {
            counted.other += 1;
            return;
        };
        if let Some(gone) = mined.forgotten.and_then(|number| self.kept.remove(&(view.severity, number))) {
            for (counted, count) in self.counted.iter_mut().zip(gone.counts) {
                counted.other += count;
            }
        }
        let of_window = self.side == 0;
        let kept = self.kept.entry((view.severity, mined.pattern)).or_insert_with(|| Kept {
            text: String::new(),
            level: view.severity,
            counts: [0; 2],
            first: view.time,
            last: view.time,
            goes_on: false,
            example: shortened(view.line),
            of_window,
            traces: Vec::new(),
        });
        if let Some(count) = kept.counts.get_mut(self.side) {
            *count += 1;
        }
        kept.first = kept.first.min(view.time);
        kept.last = kept.last.max(view.time);
        kept.goes_on |= end.is_some();
        if let Some(example) = example.filter(|_| of_window) {
            add_example(&mut kept.traces, example);
        }
    }

    fn counts(self, selectors: Vec<String>, warnings: Vec<String>) -> Counts {
        let mut by_text: FxHashMap<(String, Severity), Kept> = FxHashMap::default();
        for ((level, number), mut kept) in self.kept {
            let Some(mut text) = self.miners.get(&level).and_then(|miner| miner.text(number)) else {
                continue;
            };
            if kept.goes_on && !text.ends_with(VARIABLE) {
                text.push_str(VARIABLE);
            }
            // Patterns that began apart may have become one.
            match by_text.get_mut(&(text.clone(), level)) {
                Some(known) => known.merge(kept),
                None => {
                    kept.text.clone_from(&text);
                    by_text.insert((text, level), kept);
                }
            }
        }
        Counts {
            windows: self.counted,
            patterns: by_text.into_values().collect(),
            selectors,
            exceptions: self.exceptions,
            warnings,
        }
    }
}

/// Keeps it, if its trace is not there yet.
pub(super) fn add_example(traces: &mut Vec<ExampleTrace>, example: ExampleTrace) {
    if traces.len() < CANDIDATES && traces.iter().all(|known| known.trace_id != example.trace_id) {
        traces.push(example);
    }
}

pub(super) fn shortened(line: &[u8]) -> Vec<u8> {
    line.get(..EXAMPLE_BYTES).unwrap_or(line).to_vec()
}

impl Kept {
    fn merge(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        if !self.of_window && other.of_window {
            self.example = other.example;
            self.of_window = true;
        }
        for example in other.traces {
            add_example(&mut self.traces, example);
        }
    }
}

/// Judges the patterns and puts them in order; how many are left out is told with them.
pub(super) fn report(
    kept: Vec<Kept>,
    selectors: &[String],
    windows: &[Counted; 2],
    limit: usize,
) -> (Vec<FoundPattern>, usize) {
    let [window, against] = windows;
    let counts: Vec<(u64, u64)> = kept.iter().map(|kept| (kept.counts[0], kept.counts[1])).collect();
    let expected = (against.lines > 0).then(|| expected(&counts, (window.seconds(), against.seconds())));
    let comparisons = kept.len();
    let mut found: Vec<FoundPattern> = kept
        .into_iter()
        .map(|kept| FoundPattern {
            query: query(selectors, &kept.text),
            count: kept.counts[0],
            count_against: kept.counts[1],
            verdict: judge(kept.counts[0], kept.counts[1], expected, comparisons),
            level: kept.level,
            first: kept.first,
            last: kept.last,
            example: String::from_utf8_lossy(&kept.example).into_owned(),
            traces: kept.traces,
            pattern: kept.text,
        })
        .collect();
    found.sort_by(|a, b| {
        // What is worse comes first among what is news; all else by count.
        let news = a.verdict.order().cmp(&b.verdict.order());
        let worse = if a.verdict.order() < 2 { b.level.cmp(&a.level) } else { std::cmp::Ordering::Equal };
        let surer = a.verdict.p_value.total_cmp(&b.verdict.p_value);
        let surer = if a.verdict.order() < 2 { surer } else { std::cmp::Ordering::Equal };
        let counts = b.count.cmp(&a.count).then_with(|| b.count_against.cmp(&a.count_against));
        news.then(worse).then(surer).then(counts).then_with(|| a.pattern.cmp(&b.pattern))
    });
    let cut = found.len().saturating_sub(limit);
    found.truncate(limit);
    (found, cut)
}

/// LogQL for the lines of a pattern.
fn query(selectors: &[String], pattern: &str) -> String {
    let selector = selectors.first().map_or("{service_name=~\".+\"}", String::as_str);
    format!("{selector} |> {}", quoted(pattern))
}
