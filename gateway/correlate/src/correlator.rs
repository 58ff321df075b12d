//! Asks the store and the metrics server, and puts the answer together.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parsers::record::{Exemplar, LogRecord, SpanId, TENANT, TENANT_LABEL, TraceId, attribute};
use rustc_hash::FxHashSet;
use store::read::{Detail, LogRead, MetricRead, ReadError, TraceRead, TraceRecords};
use tokio::runtime::Handle;

use crate::absent::{self, absence};
use crate::metrics::{self, Findings};
use crate::outline::{Outline, Outlines};
use crate::{
    AbsentReason, AbsentSignal, Answer, ClockOffset, CorrelateOptions, DEFAULT_PAGE, Doors, ExemplarSource,
    JoinedLog, LabelMapping, OfferLimits, Page, SpanNode, critical, incomplete, mention, page, seen,
    spellings, tree, workload_time,
};

/// Longest trace, ns, of which samples round its time are read in less time than anyone waits for them.
const SHORT: u64 = 600_000_000_000;

/// Answers "what happened in this request?". A cheap clone.
#[derive(Clone)]
pub struct Correlator {
    store: Arc<dyn TraceRead>,
    logs: Option<Arc<dyn LogRead>>,
    metrics: Option<Arc<dyn MetricRead>>,
    options: Arc<CorrelateOptions>,
    /// Of large traces, by what this store has of them.
    outlines: Outlines,
    /// Whether only what is of some tenants is read.
    narrowed: bool,
}

impl Correlator {
    /// Joins what `store` holds with what `metrics` says.
    pub fn new(
        store: Arc<dyn TraceRead>,
        metrics: Option<Arc<dyn MetricRead>>,
        options: CorrelateOptions,
    ) -> Self {
        let outlines = Outlines::default();
        Self { store, logs: None, metrics, options: Arc::new(options), outlines, narrowed: false }
    }

    /// Offers log lines of `logs` that have no id, too.
    pub fn with_logs(self, logs: Arc<dyn LogRead>) -> Self {
        Self { logs: Some(logs), ..self }
    }

    /// Which labels say the same thing as which resource attributes.
    pub fn mapping(&self) -> &LabelMapping {
        &self.options.mapping
    }

    /// Whether only what is of some tenants is read: series then need not say of which they are.
    pub(crate) fn narrowed(&self) -> bool {
        self.narrowed
    }

    pub(crate) fn store(&self) -> Arc<dyn TraceRead> {
        Arc::clone(&self.store)
    }

    /// Where spans are received.
    pub fn doors(&self) -> &Doors {
        &self.options.doors
    }

    /// The metrics server, if there is one.
    pub fn metrics(&self) -> Option<Arc<dyn MetricRead>> {
        self.metrics.clone()
    }

    pub(crate) fn options(&self) -> &CorrelateOptions {
        &self.options
    }

    /// The same, for whoever reads beside the runtime.
    pub(crate) fn options_shared(&self) -> Arc<CorrelateOptions> {
        Arc::clone(&self.options)
    }

    /// The same joins over other sources: what `whose` sees of the records. Whoever has the same name sees the same of them, and what is
    /// kept of large traces is kept by it.
    #[must_use]
    pub fn over(&self, store: Arc<dyn TraceRead>, metrics: Option<Arc<dyn MetricRead>>, whose: &str) -> Self {
        Self { store, metrics, outlines: self.outlines.of(whose), narrowed: true, ..self.clone() }
    }

    /// Everything known of one trace, or the first part of it. Never fails: what could not be read is among [`Answer::absent`].
    pub async fn answer(&self, id: TraceId) -> Answer {
        self.part(id, Page::default()).await
    }

    /// How sure it is that a line without an id is of this trace, as the look-up of the trace has it; an error if that cannot be told
    /// of this trace. Reads; not for the runtime's own threads.
    pub(crate) fn join_of(
        &self,
        id: TraceId,
        record: &LogRecord,
    ) -> Result<Result<Option<JoinedLog>, CannotTell>, ReadError> {
        let records = self.store.trace(id, DEFAULT_PAGE)?;
        let Some(logs) = self.logs.as_deref().filter(|_| records.omitted == 0) else {
            return Ok(Err(CannotTell));
        };
        let nodes = tree::build(records.spans).nodes;
        let sure = seen::logs(id, records.logs, &nodes);
        let limits = OfferLimits { min_confidence: 0.0, ..self.options.offer.clone() };
        let offer = workload_time::offer(&*self.store, logs, id, &nodes, &sure, &limits)?;
        let mut lines = offer.lines.into_iter();
        let found = lines.find(|log| log.record.time == record.time && log.record.line == record.line);
        // A warning says that not all was read.
        Ok(if found.is_none() && !offer.warnings.is_empty() { Err(CannotTell) } else { Ok(found) })
    }

    /// As [`Correlator::answer`], some part of it. Metrics and links are on the first.
    pub async fn part(&self, id: TraceId, page: Page) -> Answer {
        let (store, logs, options) = (Arc::clone(&self.store), self.logs.clone(), Arc::clone(&self.options));
        let outlines = self.outlines.clone();
        let (metrics, runtime) = (self.metrics.clone(), Handle::current());
        let read = move || {
            let mut answer = join_stored(id, &*store, logs.as_deref(), &page, &options, &outlines);
            look_further(id, &mut answer, &*store, logs.as_deref(), &page, &options);
            // What is stored here is asked at once: to hand it to other threads takes longer than to read it.
            let short = answer.window.is_none_or(|window| window.end.saturating_sub(window.start) <= SHORT);
            let here = metrics.filter(|_| short).and_then(|reader| reader.here(options.metric_deadline));
            if let Some(here) = &here {
                runtime.block_on(with_metrics(&mut answer, Some(&**here), &page, &options));
            }
            (answer, here.is_some())
        };
        let (mut answer, asked) = match tokio::task::spawn_blocking(read).await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "reading a trace broke off");
                let error = ReadError::Io(Arc::new(std::io::Error::other("reading broke off")));
                (join(id, Err(error), None, &page, &self.options).0, false)
            }
        };
        if !asked {
            with_metrics(&mut answer, self.metrics.as_deref(), &page, &self.options).await;
        }
        let limit = self.options.warning_limit;
        if answer.warnings.len() > limit {
            let more = answer.warnings.len() - limit;
            answer.warnings.truncate(limit);
            answer.warnings.push(format!("and {more} more warnings"));
        }
        answer
    }
}

/// Too much was written or ran beside the trace.
pub(crate) struct CannotTell;

fn join_stored(
    id: TraceId,
    store: &dyn TraceRead,
    logs: Option<&dyn LogRead>,
    page: &Page,
    options: &CorrelateOptions,
    outlines: &Outlines,
) -> Answer {
    let known = outlines.get(id).filter(|_| page.offset > 0 && store.sampled_out(id).is_none());
    if let Some(outline) = known {
        return page::later(store, logs, id, &outline, page, options.link_limit);
    }
    let read = store.trace(id, page.limit);
    let (answer, outline) = join(id, read, Some(Sources { store, logs, outlines }), page, options);
    if let Some(outline) = outline {
        outlines.keep(id, outline);
    }
    answer
}

/// Where a trace is read.
#[derive(Clone, Copy)]
struct Sources<'a> {
    store: &'a dyn TraceRead,
    logs: Option<&'a dyn LogRead>,
    outlines: &'a Outlines,
}

fn join(
    id: TraceId,
    read: Result<TraceRecords, ReadError>,
    sources: Option<Sources<'_>>,
    page: &Page,
    options: &CorrelateOptions,
) -> (Answer, Option<Outline>) {
    let mut warnings = Vec::new();
    let (mut records, mut absent) = match read {
        Ok(records) => {
            let mut absent = absent::stored(id, &records, page.limit);
            absent::show_doors(&mut absent, &options.doors);
            (records, absent)
        }
        Err(error) => (TraceRecords::default(), absent::store_failed(&error)),
    };
    let omitted = records.omitted;
    let is_part = !records.spans.is_empty() && page::is_part(&records.spans, omitted, page);
    let large = sources.filter(|_| is_part);
    // However many ask, one large trace is read at a time, and who waits for that holds no spans meanwhile.
    let _turn = large.map(|Sources { outlines, .. }| {
        outlines.turn_now().unwrap_or_else(|| {
            records.spans = Vec::new();
            outlines.turn()
        })
    });
    let part =
        large.and_then(|sources| match sources.store.trace_spans(id, Detail::Outline, page::MAX_OUTLINE) {
            Ok(spans) => {
                records.spans = spans;
                Some((sources.store, sources.logs))
            }
            Err(error) => {
                warnings.push(format!("the trace could not be read in parts: {error}"));
                None
            }
        });
    let lines_cut = omitted > 0 && records.logs.len() >= page.limit;
    let exemplars_cut = omitted > 0 && records.exemplars.len() >= page.limit;
    if part.is_some() {
        // Its spans and lines are not left out, but on other pages.
        absent.retain(|a| a.reason != AbsentReason::Truncated);
        if records.spans.len() >= page::MAX_OUTLINE {
            let detail = format!("the first {} spans are told of", page::MAX_OUTLINE);
            absent.push(absence(AbsentSignal::Spans, AbsentReason::Truncated, detail));
        }
        records.omitted = 0;
    }
    if records.omitted > 0 {
        let (omitted, limit) = (records.omitted, page.limit);
        warnings.push(format!("{omitted} records are left out: at most {limit} of a signal are read"));
    }
    if records.damaged_blocks > 0 {
        let blocks = records.damaged_blocks;
        warnings
            .push(format!("{blocks} damaged blocks of the store were passed over; records may be missing"));
    }
    let long = seen::distinct_long_ids(&records);
    if long > 1 {
        warnings.push(format!("{long} traces share these low 64 bits; their records are shown together"));
    }
    warnings.extend(seen::of_tenants(&records));
    let trace_id = seen::longest(id, &records);
    let spellings = seen::spellings(&records);
    let tree = tree::build(records.spans);
    warnings.extend(tree.clocks.iter().map(of_clock));
    let odd = |oddity| tree.nodes.iter().filter(|node| node.is(oddity)).count();
    for (count, what) in [
        (odd(crate::Oddity::CycleCut), "spans were cut out of a ring of parents"),
        (tree::with_ids_of_others(&tree.nodes), "spans share their id with another one"),
        (
            odd(crate::Oddity::EarlierState),
            "spans were sent again when they had grown: what came first is marked",
        ),
        (odd(crate::Oddity::EndsBeforeStart), "spans end before they start"),
        (odd(crate::Oddity::AfterCall), AFTER_CALL),
    ] {
        if count > 0 {
            warnings.push(format!("{count} {what}"));
        }
    }
    absent.extend(incomplete::lost(&tree.nodes));
    let mut logs = seen::logs(id, records.logs, &tree.nodes);
    let mut exemplars = seen::exemplars(id, records.exemplars, &ExemplarSource::Store, &tree.nodes);
    exemplars.sort_by_key(|joined| joined.exemplar.time);
    let (window, services) =
        (seen::window(&tree.nodes, &logs, &exemplars), seen::services(&tree.nodes, &logs));
    let mut critical_path = critical::path(&tree.nodes);
    warnings.extend(critical::runs_on(&tree.nodes));
    let mut nodes = tree.nodes;
    let mut answer = Answer {
        trace_id,
        spellings,
        window,
        services,
        critical_path: Vec::new(),
        spans: Vec::new(),
        total_spans: nodes.len(),
        next: None,
        workloads: Vec::new(),
        logs: Vec::new(),
        mentions: Vec::new(),
        exemplars: Vec::new(),
        metrics: Vec::new(),
        links: Vec::new(),
        clocks: tree.clocks,
        absent,
        warnings,
    };
    let mut outline = None;
    if let Some((store, reader)) = part {
        outline = Some(Outline::new(answer.clone(), &nodes, &critical_path));
        answer.workloads = metrics::workloads(&nodes, &logs);
        let past = if lines_cut { page.offset + page.limit } else { nodes.len() };
        let others: FxHashSet<SpanId> = nodes.iter().skip(past).map(|node| node.span.span_id).collect();
        match page::cut(store, id, &mut nodes, &mut logs, page) {
            Ok(more) => answer.next = more,
            Err(error) => answer.warnings.push(format!("spans could not be read whole: {error}")),
        }
        critical_path.retain_mut(|segment| {
            let place = segment.node.checked_sub(page.offset).filter(|place| *place < nodes.len());
            segment.node = place.unwrap_or_default();
            place.is_some()
        });
        if lines_cut && page.offset == 0 {
            let here = |record: &LogRecord| record.span_id.is_none_or(|id| !others.contains(&id));
            match page::lines(store, reader, id, &here, page.limit) {
                Ok((lines, cut)) => {
                    logs = seen::logs(id, lines, &nodes);
                    answer.warnings.extend(cut.then(|| page::lines_cut(page.limit)));
                }
                Err(error) => answer.warnings.push(format!("lines could not be read: {error}")),
            }
        }
        if page.offset > 0 {
            exemplars.clear();
        } else if exemplars_cut {
            let detail = format!("the first {} are shown", exemplars.len());
            answer.absent.push(absence(AbsentSignal::Exemplars, AbsentReason::Truncated, detail));
        }
        answer.warnings.push(page::told(nodes.len(), answer.total_spans, page.offset));
    }
    let (links, cut) = seen::links(trace_id, &nodes, options.link_limit);
    if cut > 0 {
        answer.warnings.push(format!("{cut} links to other traces are left out"));
    }
    (Answer { critical_path, spans: nodes, logs, exemplars, links, ..answer }, outline)
}

/// Of spans that lie after the call that made them.
const AFTER_CALL: &str = "server spans begin after the call that made them had ended, and were not moved, since the call failed, other \
    calls tell how the clocks stand, or they last longer than it: the caller had given up, or the clock of their host is off";

/// By how much which host is off, for people.
fn of_clock(clock: &ClockOffset) -> String {
    let ClockOffset { host, against, by, calls, spans } = clock;
    let millis = *by as f64 / 1e6;
    match by {
        0 => format!(
            "{spans} spans of {host} lie outside their parents and were moved inside; their own times are kept beside"
        ),
        _ => {
            let way = if *by > 0 { "slow" } else { "fast" };
            let off = millis.abs();
            format!(
                "the clock of {host} is {off:.3} ms {way} against {against}, by {calls} calls between them: {spans} spans were \
                 moved; their own times are kept beside"
            )
        }
    }
}

/// What is told by other records than those with the id: lines without one, peers that are silent, ids that were meant.
fn look_further(
    id: TraceId,
    answer: &mut Answer,
    store: &dyn TraceRead,
    logs: Option<&dyn LogRead>,
    page: &Page,
    options: &CorrelateOptions,
) {
    if !answer.found() && answer.absent.iter().all(|a| a.reason == AbsentReason::NeverSeen) {
        for (meant, how) in spellings::variants(id) {
            if store
                .trace(meant, 1)
                .is_ok_and(|records| !records.spans.is_empty() || !records.logs.is_empty())
            {
                let detail = format!("did you mean {meant}? It is {how}, and there are records of it");
                let mut other = absence(AbsentSignal::Spans, AbsentReason::OtherSpelling, detail);
                other.hint = format!("ask for /api/v1/traces/{meant}");
                answer.absent.push(other);
            }
        }
        return;
    }
    if let Some(logs) = logs.filter(|_| page.mentions && page.offset == 0) {
        match mention::of(answer, logs) {
            Ok((lines, cut)) => {
                answer.mentions = lines;
                if cut {
                    answer.warnings.push("not all lines were searched for mentions of the id".to_owned());
                }
            }
            Err(error) => answer.warnings.push(format!("mentions of the id could not be read: {error}")),
        }
    }
    if answer.total_spans > answer.spans.len() {
        answer.warnings.push("of a trace in parts, lines without an id are not looked for".to_owned());
        return;
    }
    workload_time::under_spans(&answer.spans, &mut answer.logs);
    // Who is silent says more than which ids are missing, and is often why.
    let first = answer.absent.iter().position(|a| a.reason == AbsentReason::Incomplete);
    let at = first.unwrap_or(answer.absent.len());
    answer.absent.splice(at..at, incomplete::silent(&answer.spans, store));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    answer.warnings.extend(incomplete::arriving(&answer.spans, now));
    answer.warnings.extend(incomplete::unlinked(answer.trace_id, &answer.spans));
    let Some(logs) = logs else { return };
    let mut limits = options.offer.clone();
    limits.min_confidence = page.min_confidence.unwrap_or(limits.min_confidence);
    match workload_time::offer(store, logs, answer.trace_id, &answer.spans, &answer.logs, &limits) {
        Ok(offer) => {
            let offered = offer.lines.len();
            answer.logs.extend(offer.lines);
            answer.logs.sort_by_key(|log| log.adjusted);
            answer.warnings.extend(offer.warnings);
            let never = |a: &&mut crate::Absence| {
                a.signal == AbsentSignal::Logs && a.reason == AbsentReason::NeverSeen
            };
            if let Some(never) = answer.absent.iter_mut().find(never)
                && offered + offer.improbable as usize > 0
            {
                let improbable = offer.improbable;
                never.detail.push_str(&format!(
                    "; of the lines without an id that its containers wrote meanwhile, {offered} are offered and {improbable} are \
                     too improbable"
                ));
            }
        }
        Err(error) => answer.warnings.push(format!("lines without an id could not be read: {error}")),
    }
}

/// What tells whether two sources speak of one exemplar.
fn identity(exemplar: &Exemplar) -> (u64, Option<u128>, Option<String>) {
    let name = exemplar.series.get("__name__").map(str::to_owned);
    (exemplar.value.to_bits(), exemplar.trace_id.map(TraceId::bits), name)
}

/// Without series that say that they are of a tenant of which the trace has no span.
fn of_tenants(mut found: Findings, spans: &[SpanNode]) -> Findings {
    let tenants: FxHashSet<&str> =
        spans.iter().filter_map(|node| attribute(&node.span.resource.attributes, TENANT)?.as_str()).collect();
    found.links.retain(|link| link.labels.get(TENANT_LABEL).is_none_or(|tenant| tenants.contains(tenant)));
    found
}

/// Adds what the metrics server says, or why it says nothing.
async fn with_metrics(
    answer: &mut Answer,
    reader: Option<&dyn MetricRead>,
    page: &Page,
    options: &CorrelateOptions,
) {
    match reader {
        _ if page.offset > 0 => {}
        // No exemplar may point to a trace that was dropped, wherever it lies.
        _ if absent::is_sampled_out(&answer.absent) => answer.absent.push(absence(
            AbsentSignal::Metrics,
            AbsentReason::SampledOut,
            "nothing is left of the trace that says which workloads took part",
        )),
        Some(reader) => {
            if answer.workloads.is_empty() {
                answer.workloads = metrics::workloads(&answer.spans, &answer.logs);
            }
            let workloads = &answer.workloads;
            let found = metrics::ask(reader, answer.trace_id, workloads, answer.window, options).await;
            let found = of_tenants(found, &answer.spans);
            add_metrics(answer, found, reader.name());
        }
        None => answer.absent.push(absence(
            AbsentSignal::Metrics,
            AbsentReason::NotConfigured,
            "no metrics server is configured (upstream.prometheus.url)",
        )),
    }
}

fn add_metrics(answer: &mut Answer, found: Findings, server: &str) {
    let known: FxHashSet<_> = answer.exemplars.iter().map(|joined| identity(&joined.exemplar)).collect();
    let fresh = found.exemplars.into_iter().filter(|exemplar| !known.contains(&identity(exemplar))).collect();
    let source = ExemplarSource::Upstream(Arc::from(server));
    answer.exemplars.extend(seen::exemplars(answer.trace_id, fresh, &source, &answer.spans));
    answer.exemplars.sort_by_key(|joined| joined.exemplar.time);
    if !answer.exemplars.is_empty() {
        let never =
            |a: &crate::Absence| a.signal == AbsentSignal::Exemplars && a.reason == AbsentReason::NeverSeen;
        answer.absent.retain(|a| !never(a));
        if answer.window.is_none() {
            answer.window = seen::window(&answer.spans, &answer.logs, &answer.exemplars);
        }
    }
    answer.metrics = found.links;
    answer.absent.extend(found.absent);
    answer.warnings.extend(found.warnings);
}

#[cfg(test)]
mod tests;
