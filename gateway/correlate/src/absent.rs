//! Why something is missing. An empty part of an answer never goes without its reason.

use parsers::record::{LogRecord, TraceId, TraceMatch, format_rfc3339};
use store::read::{Fate, ReadError, Signal, TraceRecords};

use crate::{Absence, AbsentReason, AbsentSignal, Doors};

const STORED: [AbsentSignal; 3] = [AbsentSignal::Spans, AbsentSignal::Logs, AbsentSignal::Exemplars];

pub(crate) fn absence(signal: AbsentSignal, reason: AbsentReason, detail: impl Into<String>) -> Absence {
    Absence { signal, reason, detail: detail.into(), hint: hint(signal, reason).to_owned() }
}

/// Says in hints at which addresses spans are received here.
pub(crate) fn show_doors(absent: &mut [Absence], doors: &Doors) {
    let never = |a: &&mut Absence| a.reason == AbsentReason::NeverSeen && a.signal == AbsentSignal::Spans;
    for absence in absent.iter_mut().filter(never) {
        absence.hint = format!(
            "check that the service exports its spans here ({}) and what its sampler is set to; `GET /api/v1/collect/files` and \
             `/metrics` say what arrived",
            doors.otlp()
        );
    }
}

/// What a person can try next.
fn hint(signal: AbsentSignal, reason: AbsentReason) -> &'static str {
    match (reason, signal) {
        (AbsentReason::NeverSeen, AbsentSignal::Spans) => {
            "check that the service exports its spans here and what its sampler is set to; \
             `GET /api/v1/collect/files` and `/metrics` say what arrived"
        }
        (AbsentReason::NeverSeen, AbsentSignal::Logs) => {
            "check what the rules find in a line of the service: `trefoil parse < lines`; lines without an id are offered with \
             a lower `min_confidence`"
        }
        (AbsentReason::NeverSeen, _) | (AbsentReason::NoMatch, AbsentSignal::Exemplars) => {
            "exemplars come with OTLP metrics, remote write 2.0 and OpenMetrics scrapes, where the application sends them; \
             others are made by `GET /api/v1/exemplars`"
        }
        (AbsentReason::SampledOut, _) => {
            "look for a trace like it that was kept, or let the sampler keep more of these: `sampling.rules` here, the SDK's \
             sampler at the sender"
        }
        (AbsentReason::Expired, _) => {
            "raise `store.retention` of this signal, or `store.max_bytes`, for traces to come"
        }
        (AbsentReason::OutsideWindow, AbsentSignal::Metrics | AbsentSignal::Exemplars) => {
            "ask the metrics server itself for the time that you know"
        }
        (AbsentReason::OutsideWindow, _) => "ask for another time with `start` and `end`",
        (AbsentReason::SourceDown, _) => {
            "ask again when the source answers; `/readyz` and the log of Trefoil say what is wrong with it"
        }
        (AbsentReason::SourceSlow, _) => {
            "ask again, or give the source more time: `upstream.prometheus.timeout`"
        }
        (AbsentReason::OtherSpelling, _) => "ask by the id that is shown",
        (AbsentReason::NotConfigured, _) => {
            "set `upstream.prometheus.url` to a Prometheus, Mimir, Thanos or VictoriaMetrics"
        }
        (AbsentReason::NoMatch, AbsentSignal::Spans) => {
            "ask for a wider time; `GET /api/v1/services` with `start` and `end` says which services sent spans between them"
        }
        (AbsentReason::NoMatch, AbsentSignal::Logs) => {
            "ask for a wider time; `GET /loki/api/v1/series` says which streams there are"
        }
        (AbsentReason::NoMatch, _) => {
            "see which labels the series of the service have, and map them: `upstream.prometheus.labels`, printed by \
             `trefoil check-config`"
        }
        (AbsentReason::Truncated, AbsentSignal::Spans) => {
            "ask for the next page with `cursor`, or for fewer parts with `fields`"
        }
        (AbsentReason::Truncated, AbsentSignal::Logs) => {
            "ask with a higher `limit`, or for all of them as LogQL: `/loki/api/v1/query_range` with `| trace_id=\"...\"`"
        }
        (AbsentReason::Truncated, _) => "ask with a higher `limit`",
        (AbsentReason::Incomplete, _) => {
            "ask again in some seconds if the trace is young; else look whether the service that is missing exports its spans here"
        }
    }
}

/// The store itself failed: nothing that it holds can be told.
pub(crate) fn store_failed(error: &ReadError) -> Vec<Absence> {
    STORED.iter().map(|&signal| absence(signal, reason_of(error), error.to_string())).collect()
}

/// How a failed source is called.
pub(crate) fn reason_of(error: &ReadError) -> AbsentReason {
    match error {
        ReadError::Timeout { .. } => AbsentReason::SourceSlow,
        _ => AbsentReason::SourceDown,
    }
}

/// What the store does not have of a trace.
pub(crate) fn stored(asked: TraceId, records: &TraceRecords, limit: usize) -> Vec<Absence> {
    if let Some(detail) = sampled_out(records) {
        return STORED
            .iter()
            .map(|&signal| absence(signal, AbsentReason::SampledOut, detail.clone()))
            .collect();
    }
    let nothing = records.spans.is_empty() && records.logs.is_empty() && records.exemplars.is_empty();
    let mut list = Vec::new();
    for signal in STORED {
        let (count, exact, of) = match signal {
            AbsentSignal::Spans => {
                let exact = records.spans.iter().any(|s| is_exact(asked, Some(s.trace_id)));
                (records.spans.len(), exact, Signal::Traces)
            }
            AbsentSignal::Logs => {
                let exact = records.logs.iter().any(|l| is_exact(asked, l.trace_id));
                (records.logs.len(), exact, Signal::Logs)
            }
            _ => {
                let exact = records.exemplars.iter().any(|e| is_exact(asked, e.trace_id));
                (records.exemplars.len(), exact, Signal::Metrics)
            }
        };
        let expired = records.fates.iter().find_map(|fate| match fate {
            Fate::Expired { signal, newest } if *signal == of => Some(*newest),
            _ => None,
        });
        if let Some(newest) = expired {
            let what = if count == 0 { "they were" } else { "some were probably" };
            let until = format_rfc3339(newest);
            let detail = format!("{what} dropped by retention, with records up to {until}");
            list.push(absence(signal, AbsentReason::Expired, detail));
        } else if count == 0 {
            list.push(never(signal, nothing, &records.logs));
        }
        if count > 0 && !exact {
            let detail = format!("nothing is stored as {asked}; what is shown agrees in the low 64 bits");
            list.push(absence(signal, AbsentReason::OtherSpelling, detail));
        }
        if records.omitted > 0 && count >= limit {
            let detail =
                format!("the first {count} are shown; {} records of the trace are left out", records.omitted);
            list.push(absence(signal, AbsentReason::Truncated, detail));
        }
    }
    list
}

/// That sampling dropped the trace, by which rule and when.
fn sampled_out(records: &TraceRecords) -> Option<String> {
    records.fates.iter().find_map(|fate| match fate {
        Fate::SampledOut { rule, decided } => Some(format!(
            "the rule `{rule}` of `sampling.rules` dropped the whole trace at {}, with its spans, log lines and exemplars; \
             traces like it stay if that rule keeps more, or one before it decides them",
            format_rfc3339(*decided)
        )),
        Fate::Expired { .. } => None,
    })
}

/// Whether these absences are those of a trace that sampling dropped. Spans alone may be absent since their sender sampled.
pub(crate) fn is_sampled_out(absent: &[Absence]) -> bool {
    absent.iter().any(|a| a.signal == AbsentSignal::Exemplars && a.reason == AbsentReason::SampledOut)
}

fn is_exact(asked: TraceId, id: Option<TraceId>) -> bool {
    id.and_then(|id| asked.matches(id)) == Some(TraceMatch::Exact)
}

fn never(signal: AbsentSignal, nothing: bool, logs: &[LogRecord]) -> Absence {
    if signal == AbsentSignal::Spans && logs.iter().any(says_unsampled) {
        let detail = "log lines of the trace say that it was not sampled, so its spans were never sent";
        return absence(signal, AbsentReason::SampledOut, detail);
    }
    let detail = match (nothing, signal) {
        (true, _) => "no record with this id was ever stored here",
        (false, AbsentSignal::Spans) => "other signals have this id, but no span with it was received",
        (false, AbsentSignal::Logs) => "other signals have this id, but no log line with it was read",
        (false, _) => "other signals have this id, but no exemplar with it was received",
    };
    absence(signal, AbsentReason::NeverSeen, detail)
}

/// W3C flags or the words that libraries print beside the id.
fn says_unsampled(log: &LogRecord) -> bool {
    log.metadata.iter().any(|(key, value)| match key.as_str() {
        "trace_sampled" | "sampled" | "otelTraceSampled" => {
            value.eq_ignore_ascii_case("false") || value == "0"
        }
        "trace_flags" | "flags" => {
            u8::from_str_radix(value.trim_start_matches("0x"), 16).is_ok_and(|flags| flags & 1 == 0)
        }
        _ => false,
    })
}
