//! Log lines as the services write them, each in its own format. The container runtime's frame is in `log_files`.

use jiff::Timestamp;
use parsers::record::{Severity, SpanId, TraceId, format_rfc3339};

use super::services::{Format, NAMESPACE, Spec};

/// The request that a line belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    /// Trace.
    pub(super) trace: TraceId,
    /// Span.
    pub(super) span: SpanId,
}

/// What a line says, whatever its format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Say<'a> {
    /// Nanoseconds since the epoch.
    pub(super) time: u64,
    /// How bad.
    pub(super) severity: Severity,
    /// The request, where the programmer had it at hand.
    pub(super) ids: Option<Ids>,
    /// The sentence.
    pub(super) message: &'a str,
    /// Lines of a stack trace, written below the sentence.
    pub(super) stack: &'a [String],
}

/// The lines for one thing said: usually one, more with a stack trace.
pub(super) fn render(spec: &Spec, say: &Say<'_>) -> Vec<String> {
    let Say { time, ids, message, .. } = *say;
    let level = say.severity.as_str();
    let capitals = level.to_ascii_uppercase();
    let (trace, span) = match ids {
        Some(ids) => (ids.trace.to_string(), ids.span.to_string()),
        None => (String::new(), String::new()),
    };
    let first = match spec.format {
        Format::Json | Format::Envoy => {
            let mut line = serde_json::json!({
                "time": format_rfc3339(time), "level": level, "service": spec.service, "msg": message,
            });
            if let (Some(fields), Some(_)) = (line.as_object_mut(), ids) {
                fields.insert("trace_id".to_owned(), trace.into());
                fields.insert("span_id".to_owned(), span.into());
            }
            line.to_string()
        }
        Format::Logfmt => {
            let ids = ids.map(|_| format!(" traceID={trace} spanID={span}")).unwrap_or_default();
            format!("ts={} level={level} caller=orders.go:118 msg={message:?}{ids}", format_rfc3339(time))
        }
        Format::Spring => format!(
            "{} {capitals:>5} [{},{trace},{span}] 1 --- [nio-8080-exec-3] c.s.cart.CartController : {message}",
            clock(time, "%Y-%m-%d %H:%M:%S%.3f"),
            spec.service,
        ),
        Format::Text => {
            let ids = ids.map(|_| format!(" trace_id={trace} span_id={span}")).unwrap_or_default();
            format!("{} {capitals} -- payment: {message}{ids}", clock(time, "%Y/%m/%d %H:%M:%S"))
        }
        Format::Logback => {
            let ids = ids.map(|_| format!(" traceId={trace} spanId={span}")).unwrap_or_default();
            format!(
                "{} {capitals:<5} [http-nio-8080-exec-7] c.s.shipping.LabelService{ids} - {message}",
                clock(time, "%Y-%m-%d %H:%M:%S%.3f"),
            )
        }
        Format::OtelPython => {
            let (trace, span) = if ids.is_some() { (trace, span) } else { ("0".to_owned(), "0".to_owned()) };
            format!(
                "{} {capitals} [pages.views] [views.py:33] [trace_id={trace} span_id={span} resource.service.name={} trace_sampled={}] - {message}",
                clock(time, "%Y-%m-%d %H:%M:%S,%3f"),
                spec.service,
                if ids.is_some() { "True" } else { "False" },
            )
        }
    };
    std::iter::once(first).chain(say.stack.iter().cloned()).collect()
}

/// One request as an access log has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access<'a> {
    /// When it was answered.
    pub(super) time: u64,
    /// Method.
    pub(super) method: &'a str,
    /// Path.
    pub(super) path: &'a str,
    /// HTTP status.
    pub(super) status: u16,
    /// How long it took, in nanoseconds.
    pub(super) took: u64,
}

/// The sidecar's access log of a traced request, in Envoy's JSON.
pub(super) fn envoy_access(spec: &Spec, access: &Access<'_>, ids: Ids) -> String {
    let Ids { trace, span } = ids;
    serde_json::json!({
        "authority": format!("{}.{NAMESPACE}:8080", spec.service),
        "duration": access.took / 1_000_000,
        "method": access.method,
        "path": access.path,
        "protocol": "HTTP/1.1",
        "response_code": access.status,
        "response_flags": "-",
        "start_time": format_rfc3339(access.time.saturating_sub(access.took)),
        "traceparent": format!("00-{trace}-{span}-01"),
        "upstream_host": format!("{}:8080", spec.ip),
    })
    .to_string()
}

/// The kubelet's probe, which has no trace, in the common text form.
pub(super) fn probe_access(time: u64) -> String {
    format!(
        "10.244.0.1 - - [{}] \"GET /healthz HTTP/1.1\" 200 2 \"-\" \"kube-probe/1.33\" 0.001",
        clock(time, "%d/%b/%Y:%H:%M:%S +0000")
    )
}

/// UTC, by the letters of `strftime`.
fn clock(time: u64, format: &str) -> String {
    Timestamp::from_nanosecond(i128::from(time)).unwrap_or_default().strftime(format).to_string()
}
