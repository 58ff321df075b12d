//! Two sets of traces: what happens more, fails more, takes longer or is called otherwise in one than in the other.

use std::cmp::Reverse;

use parsers::record::TraceId;
use rustc_hash::{FxHashMap, FxHashSet};

use super::answer::{Detail, Finding, FindingKind, Unit};
use super::causes::Of;
use crate::analysis::answer::Times;
use crate::analysis::code::CodePlace;
use crate::analysis::digest::Digest;
use crate::analysis::lines::Lines;
use crate::analysis::options::{MIN_SUPPORT, MIN_TRACES};
use crate::analysis::stats::{Counts, Tested, values};
use crate::analysis::vocabulary::{AttributeScope, Fact, Operation, Vocabulary};

/// How much of the total an operation's change must be to count in full.
pub(super) const FULL_CHANGE: f64 = 0.1;
/// The least weight of a call that occurs more or less often, however little time it takes.
const CALL_WEIGHT: f64 = 0.3;
/// Traces named with a finding.
const EXAMPLES: usize = 3;

/// How much a finding of each kind says of a cause, all else being equal: what fails or takes time is nearer to it than what
/// comes with it.
mod factor {
    pub const ERRORS: f64 = 1.0;
    pub const LATENCY: f64 = 0.98;
    pub const STRUCTURE: f64 = 0.95;
    pub const PATTERN: f64 = 0.9;
    pub const SPAN_ATTRIBUTE: f64 = 0.88;
    pub const RESOURCE_ATTRIBUTE: f64 = 0.75;
    /// Names of pods, hosts and processes: two sets at two times always differ in them.
    pub const IDENTITY: f64 = 0.25;
}

/// Resource attributes that tell one instance from another.
const IDENTITIES: [&str; 14] = [
    "service.instance.id",
    "k8s.pod.name",
    "k8s.pod.uid",
    "k8s.pod.ip",
    "k8s.pod.start_time",
    "k8s.replicaset.name",
    "k8s.replicaset.uid",
    "k8s.container.restart_count",
    "container.id",
    "container.name",
    "host.id",
    "host.name",
    "host.ip",
    "process.pid",
];

/// Traces on both sides.
pub(crate) struct Sets<'a> {
    pub(crate) a: &'a [Digest],
    pub(crate) b: &'a [Digest],
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) lines: &'a Lines<'a>,
    /// Attributes that are different because they were asked for.
    pub(crate) given: &'a [String],
    /// The service whose instances are different because of what was asked for.
    pub(crate) instances_of: Option<&'a str>,
}

/// A difference before it is known how much all tests together are worth.
pub(crate) struct Candidate {
    pub(crate) finding: Finding,
    pub(crate) tested: Tested,
    pub(crate) of: Of,
}

/// An operation on one side.
#[derive(Default)]
struct Doing {
    /// Of each trace that has it: self time a span, spans, longest span.
    own: Vec<f64>,
    spans: Vec<f64>,
    longest: Vec<u64>,
    traces: Vec<TraceId>,
    /// Self time in all, ns.
    total: f64,
    /// Traces in which an error began here.
    failing: Vec<TraceId>,
    /// Traces whose lines were read.
    read: usize,
    /// Traces in which lines without an id were looked for, too.
    looked_for: usize,
}

impl Sets<'_> {
    /// All that was tested, in no order.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let counts = Counts::new(self.a.len() + self.b.len());
        let (doing_a, doing_b) = (self.doing(self.a), self.doing(self.b));
        let mut found = Vec::new();
        for (number, (a, b)) in doing_a.iter().zip(&doing_b).enumerate() {
            self.operation(number as u32, a, b, &counts, &mut found);
        }
        self.edges(&doing_a, &doing_b, &counts, &mut found);
        self.facts(&doing_a, &doing_b, &counts, &mut found);
        found
    }

    fn doing(&self, digests: &[Digest]) -> Vec<Doing> {
        let mut all: Vec<Doing> = (0..self.vocabulary.operations()).map(|_| Doing::default()).collect();
        for digest in digests {
            for cell in &digest.cells {
                let Some(doing) = all.get_mut(cell.operation as usize) else { continue };
                doing.own.push(cell.own as f64 / f64::from(cell.spans.max(1)));
                doing.spans.push(f64::from(cell.spans));
                doing.longest.push(cell.longest);
                doing.traces.push(digest.trace);
                doing.total += cell.own as f64;
                doing.read += usize::from(digest.lines_read_of(cell.operation));
                doing.looked_for += usize::from(digest.lines_read && digest.looked_for);
                if cell.error_origins > 0 {
                    doing.failing.push(digest.trace);
                }
            }
        }
        all
    }

    /// What share of traces has an operation, on the side where more have it.
    fn coverage(&self, a: &Doing, b: &Doing) -> f64 {
        let share = |doing: &Doing, of: &[Digest]| doing.own.len() as f64 / of.len().max(1) as f64;
        share(a, self.a).max(share(b, self.b))
    }

    /// How much of a mean trace the change of an operation's time is, 1 from `FULL_CHANGE` on.
    fn weight(&self, a: &Doing, b: &Doing) -> f64 {
        let usual = self.usual_duration();
        let change = a.total / self.a.len().max(1) as f64 - b.total / self.b.len().max(1) as f64;
        (change.abs() / usual / FULL_CHANGE).min(1.0)
    }

    /// Time of a mean trace, ns.
    pub(super) fn usual_duration(&self) -> f64 {
        let mean = |digests: &[Digest]| {
            digests.iter().map(|digest| digest.duration as f64).sum::<f64>() / digests.len().max(1) as f64
        };
        f64::midpoint(mean(self.a), mean(self.b)).max(1.0)
    }

    fn operation(&self, number: u32, a: &Doing, b: &Doing, counts: &Counts, found: &mut Vec<Candidate>) {
        if a.own.len() < MIN_TRACES || b.own.len() < MIN_TRACES {
            return;
        }
        let operation = self.vocabulary.named(number);
        let (weight, coverage) = (self.weight(a, b), self.coverage(a, b));
        let (mean_a, mean_b) = (mean(&a.own), mean(&b.own));
        let tested = values(&a.own, &b.own);
        let more = if tested.effect > 0.0 { a } else { b };
        found.push(Candidate {
            finding: Finding {
                kind: FindingKind::Latency,
                what: format!(
                    "{} takes {} by itself against {}",
                    named(&operation),
                    duration(mean_a),
                    duration(mean_b)
                ),
                detail: Detail::Times {
                    a: Times::of(a.longest.iter().copied()),
                    b: Times::of(b.longest.iter().copied()),
                },
                a: mean_a,
                b: mean_b,
                unit: Unit::Nanoseconds,
                significance: None,
                // What hardly any trace has is no cause of what all do, however long it takes there.
                score: tested.effect.abs() * weight * coverage * factor::LATENCY,
                also: Vec::new(),
                examples: longest(more),
                operation: operation.clone(),
            },
            tested,
            of: Of::Operation(number),
        });
        if a.spans.iter().chain(&b.spans).any(|spans| *spans > 1.0) {
            let tested = values(&a.spans, &b.spans);
            let (mean_a, mean_b) = (mean(&a.spans), mean(&b.spans));
            found.push(Candidate {
                finding: Finding {
                    kind: FindingKind::Structure,
                    what: format!("{} runs {mean_a:.1} times a trace against {mean_b:.1}", named(&operation)),
                    detail: Detail::None,
                    a: mean_a,
                    b: mean_b,
                    unit: Unit::Spans,
                    significance: None,
                    score: tested.effect.abs() * weight.max(CALL_WEIGHT * coverage) * factor::STRUCTURE,
                    also: Vec::new(),
                    examples: longest(if tested.effect > 0.0 { a } else { b }),
                    operation: operation.clone(),
                },
                tested,
                of: Of::Operation(number),
            });
        }
        if a.failing.len() + b.failing.len() > 0 {
            let tested = counts.test((a.failing.len(), a.own.len()), (b.failing.len(), b.own.len()));
            let more = if tested.effect > 0.0 { a } else { b };
            let reached = (share(a.failing.len(), a.own.len()), share(b.failing.len(), b.own.len()));
            let (rate_a, rate_b) =
                (share(a.failing.len(), self.a.len()), share(b.failing.len(), self.b.len()));
            let (of_all, of_a, of_b) = (named(&operation), percent(rate_a), percent(rate_b));
            let mut what = format!("errors begin in {of_all} in {of_a} of all traces against {of_b}");
            if (rate_a, rate_b) != reached {
                let (of_a, of_b) = (percent(reached.0), percent(reached.1));
                what.push_str(&format!(" (in {of_a} of those that reach it against {of_b})"));
            }
            found.push(Candidate {
                finding: Finding {
                    kind: FindingKind::Errors,
                    what,
                    detail: Detail::None,
                    a: rate_a,
                    b: rate_b,
                    unit: Unit::Share,
                    significance: None,
                    score: tested.effect.abs() * coverage * factor::ERRORS,
                    also: Vec::new(),
                    examples: more.failing.iter().take(EXAMPLES).copied().collect(),
                    operation,
                },
                tested,
                of: Of::Operation(number),
            });
        }
    }

    /// Calls: of traces that have the caller, those in which it calls.
    fn edges(&self, doing_a: &[Doing], doing_b: &[Doing], counts: &Counts, found: &mut Vec<Candidate>) {
        let count = |digests: &[Digest]| {
            let mut edges: FxHashMap<(Option<u32>, u32), Vec<TraceId>> = FxHashMap::default();
            for digest in digests {
                for edge in &digest.edges {
                    edges.entry(*edge).or_default().push(digest.trace);
                }
            }
            edges
        };
        let (in_a, in_b) = (count(self.a), count(self.b));
        let edges: FxHashSet<_> = in_a.keys().chain(in_b.keys()).copied().collect();
        for edge in edges {
            let (caller, callee) = edge;
            // How large a side is, and how much of it.
            let size = |digests: &[Digest], doing: &[Doing]| match caller {
                Some(caller) => doing.get(caller as usize).map_or(0, |doing| doing.own.len()),
                None => digests.len(),
            };
            let (all_a, all_b) = (size(self.a, doing_a), size(self.b, doing_b));
            let (with_a, with_b) = (in_a.get(&edge), in_b.get(&edge));
            let len = |list: Option<&Vec<TraceId>>| list.map_or(0, Vec::len);
            if all_a < MIN_TRACES || all_b < MIN_TRACES || len(with_a) + len(with_b) < MIN_SUPPORT {
                continue;
            }
            if len(with_a) == all_a && len(with_b) == all_b {
                continue;
            }
            let tested = counts.test((len(with_a), all_a), (len(with_b), all_b));
            let coverage = share(all_a, self.a.len()).max(share(all_b, self.b.len()));
            let (rate_a, rate_b) = (share(len(with_a), all_a), share(len(with_b), all_b));
            let (operation, caller) =
                (self.vocabulary.named(callee), caller.map(|caller| self.vocabulary.named(caller)));
            let (what, whose) = match &caller {
                Some(caller) => (format!("{} calls {}", named(caller), named(&operation)), "its"),
                None => (format!("{} is called from outside", named(&operation)), "all"),
            };
            let more = if tested.effect > 0.0 { with_a } else { with_b };
            found.push(Candidate {
                finding: Finding {
                    kind: FindingKind::Structure,
                    what: format!(
                        "{what} in {} of {whose} traces against {}",
                        percent(rate_a),
                        percent(rate_b)
                    ),
                    detail: Detail::Caller(caller),
                    a: rate_a,
                    b: rate_b,
                    unit: Unit::Share,
                    significance: None,
                    score: tested.effect.abs() * coverage * factor::STRUCTURE,
                    also: Vec::new(),
                    examples: more.into_iter().flatten().take(EXAMPLES).copied().collect(),
                    operation,
                },
                tested,
                of: Of::Call(edge.0, edge.1),
            });
        }
    }

    /// Attributes, patterns and places: of traces that have the operation, those in which it holds.
    fn facts(&self, doing_a: &[Doing], doing_b: &[Doing], counts: &Counts, found: &mut Vec<Candidate>) {
        let facts = self.vocabulary.facts();
        let hold = |digests: &[Digest]| {
            let mut hold: Vec<(u32, [Option<TraceId>; EXAMPLES])> = vec![(0, [None; EXAMPLES]); facts.len()];
            for digest in digests {
                let known = |fact: &&u32| digest.looked_for || !self.vocabulary.takes_offers(**fact);
                for fact in digest.facts.iter().filter(known) {
                    if let Some((count, examples)) = hold.get_mut(*fact as usize) {
                        if let Some(place) = examples.get_mut(*count as usize) {
                            *place = Some(digest.trace);
                        }
                        *count += 1;
                    }
                }
            }
            hold
        };
        let (hold_a, hold_b) = (hold(self.a), hold(self.b));
        for (number, ((fact, a), b)) in (0..).zip(facts.iter().zip(&hold_a).zip(&hold_b)) {
            let (with_a, with_b) = (a.0 as usize, b.0 as usize);
            let operation = fact.operation() as usize;
            let (Some(of_a), Some(of_b)) = (doing_a.get(operation), doing_b.get(operation)) else { continue };
            let takes_offers = self.vocabulary.takes_offers(number);
            let size = |doing: &Doing| match fact.of_lines() {
                true if takes_offers => doing.looked_for,
                true => doing.read,
                false => doing.own.len(),
            };
            let (all_a, all_b) = (size(of_a), size(of_b));
            let everywhere = with_a == all_a && with_b == all_b;
            if all_a < MIN_TRACES || all_b < MIN_TRACES || with_a + with_b < MIN_SUPPORT || everywhere {
                continue;
            }
            let tested = counts.test((with_a.min(all_a), all_a), (with_b.min(all_b), all_b));
            let (rate_a, rate_b) = (share(with_a, all_a), share(with_b, all_b));
            let coverage = self.coverage(of_a, of_b);
            let weight = tested.effect.abs() * coverage;
            let operation = self.vocabulary.named(fact.operation());
            // Where not all traces have the operation, it is those that do.
            let of = if of_a.own.len() < self.a.len() || of_b.own.len() < self.b.len() {
                format!("traces with {}", named(&operation))
            } else {
                "traces".to_owned()
            };
            let examples = if tested.effect > 0.0 { a.1 } else { b.1 };
            let Some((kind, what, detail, factor)) = self.described(*fact) else { continue };
            found.push(Candidate {
                finding: Finding {
                    kind,
                    what: format!("{what} in {} of {of} against {}", percent(rate_a), percent(rate_b)),
                    operation,
                    detail,
                    a: rate_a,
                    b: rate_b,
                    unit: Unit::Share,
                    significance: None,
                    score: weight * factor,
                    also: Vec::new(),
                    examples: examples.into_iter().flatten().collect(),
                },
                tested,
                of: Of::Fact(number),
            });
        }
    }

    fn described(&self, fact: Fact) -> Option<(FindingKind, String, Detail, f64)> {
        match fact {
            Fact::Attribute { key, value, .. } => {
                let (scope, name) = self.vocabulary.key_name(key);
                let identity = scope == AttributeScope::Resource && IDENTITIES.contains(&name);
                let of_asked =
                    || Some(&*self.vocabulary.named(fact.operation()).service) == self.instances_of;
                if self.given.iter().any(|given| given == name) || (identity && of_asked()) {
                    return None;
                }
                let factor = match scope {
                    AttributeScope::Span => factor::SPAN_ATTRIBUTE,
                    AttributeScope::Resource if identity => factor::IDENTITY,
                    AttributeScope::Resource => factor::RESOURCE_ATTRIBUTE,
                };
                let (key, value) = (name.to_owned(), self.vocabulary.text(value).to_owned());
                let what = format!("{}.{key} is {value:?}", scope.as_str());
                let detail = Detail::Attribute { scope, key, value, other: None };
                Some((FindingKind::Attribute, what, detail, factor))
            }
            Fact::Pattern { pattern, .. } => {
                let pattern = self.lines.pattern(pattern)?;
                let what = format!("lines like {pattern:?}");
                Some((FindingKind::Pattern, what, Detail::Pattern(pattern), factor::PATTERN))
            }
            // What lines say is told by their patterns.
            Fact::Code { from_line: true, .. } => None,
            Fact::Code { place, .. } => {
                let place = CodePlace::read(self.vocabulary.text(place));
                let line = place.line.map(|line| format!(":{line}")).unwrap_or_default();
                let value = format!("{}{line} {}", place.file, place.function).trim().to_owned();
                let what = format!("the place in the code is {value:?}");
                let (scope, key) = (AttributeScope::Span, "code".to_owned());
                let detail = Detail::Attribute { scope, key, value, other: None };
                Some((FindingKind::Attribute, what, detail, factor::SPAN_ATTRIBUTE))
            }
        }
    }
}

fn mean(list: &[f64]) -> f64 {
    list.iter().sum::<f64>() / list.len().max(1) as f64
}

fn share(of: usize, all: usize) -> f64 {
    of as f64 / all.max(1) as f64
}

/// Traces in which an operation took longest.
fn longest(doing: &Doing) -> Vec<TraceId> {
    let mut order: Vec<(u64, TraceId)> =
        doing.longest.iter().copied().zip(doing.traces.iter().copied()).collect();
    order.sort_by_key(|(time, trace)| (Reverse(*time), trace.bits()));
    // Several calls may be of one trace.
    let mut told = FxHashSet::default();
    order.retain(|(_, trace)| told.len() < EXAMPLES && told.insert(*trace));
    order.into_iter().map(|(_, trace)| trace).collect()
}

pub(crate) fn named(operation: &Operation) -> String {
    format!("{} of {}", operation.operation, operation.service)
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 1.0 { format!("{percent:.2} %") } else { format!("{percent:.0} %") }
}

pub(crate) fn duration(nanos: f64) -> String {
    match nanos {
        n if n >= 1e9 => format!("{:.2} s", n / 1e9),
        n if n >= 1e6 => format!("{:.2} ms", n / 1e6),
        n if n >= 1e3 => format!("{:.1} us", n / 1e3),
        n => format!("{n:.0} ns"),
    }
}
