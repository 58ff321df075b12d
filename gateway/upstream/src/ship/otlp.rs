//! Rows of a batch as an `ExportLogsServiceRequest`.

use std::ops::Range;

use parsers::otlp::Writer;
use parsers::record::{LogBatch, LogRow, Severity, TraceId};

/// Name of the scope that all records are in.
const SCOPE: &str = "trefoil";

/// The attribute that a label of a stream becomes, and whether it is the resource's.
fn of_label(name: &str) -> (&str, bool) {
    match name {
        "namespace" => ("k8s.namespace.name", true),
        "pod" => ("k8s.pod.name", true),
        "container" => ("k8s.container.name", true),
        "node" => ("k8s.node.name", true),
        "service_name" => ("service.name", true),
        "stream" => ("log.iostream", false),
        "filename" => ("log.file.path", false),
        other => (other, true),
    }
}

/// The attribute that a metadata pair becomes, and whether it is the resource's: such a pair is the same on all rows of a
/// file.
fn of_metadata(name: &str) -> (&str, bool) {
    match name {
        "pod_uid" => ("k8s.pod.uid", true),
        "restart" => ("k8s.container.restart_count", true),
        "k8s_deployment_name" => ("k8s.deployment.name", true),
        "k8s_statefulset_name" => ("k8s.statefulset.name", true),
        "k8s_daemonset_name" => ("k8s.daemonset.name", true),
        "k8s_cronjob_name" => ("k8s.cronjob.name", true),
        "k8s_job_name" => ("k8s.job.name", true),
        "k8s_node_name" => ("k8s.node.name", true),
        "service_version" => ("service.version", false),
        "cloud_availability_zone" => ("cloud.availability_zone", true),
        "filename" => ("log.file.path", false),
        // A service that the line itself names; the stream's own is the resource's.
        "service_name" => ("service.name", false),
        other => (other, false),
    }
}

/// The request for these rows, grouped by stream and file, since files of one container differ in their restart; within these
/// in their order.
pub(super) fn request(logs: &LogBatch, rows: Range<usize>, out: &mut Vec<u8>) {
    let rows = logs.rows.get(rows).unwrap_or_default();
    let mut by_stream: Vec<&LogRow> = rows.iter().collect();
    by_stream.sort_by_key(|row| (row.stream, row.file));
    for group in by_stream.chunk_by(|a, b| (a.stream, a.file) == (b.stream, b.file)) {
        Writer::new(out).message(1, |out| resource_logs(logs, group, out));
    }
}

fn resource_logs(logs: &LogBatch, group: &[&LogRow], out: &mut Vec<u8>) {
    let Some(first) = group.first() else { return };
    let labels = logs.streams.get(first.stream as usize).cloned().unwrap_or_default();
    let mut out = Writer::new(out);
    out.message(1, |out| {
        for (name, value) in labels.iter() {
            let (name, of_resource) = of_label(name);
            if of_resource {
                attribute(out, 1, name, value);
            }
        }
        for (name, value) in logs.metadata(first) {
            let (name, of_resource) = of_metadata(name);
            if of_resource {
                attribute(out, 1, name, value);
            }
        }
    });
    out.message(2, |out| {
        let mut out = Writer::new(out);
        out.message(1, |out| Writer::new(out).bytes(1, SCOPE.as_bytes()));
        for row in group {
            out.message(2, |out| {
                record(logs, row, out);
                for (name, value) in labels.iter() {
                    let (name, of_resource) = of_label(name);
                    if !of_resource {
                        attribute(out, 6, name, value);
                    }
                }
            });
        }
    });
}

fn record(logs: &LogBatch, row: &LogRow, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.fixed64(1, row.time);
    writer.varint(2, row.severity.number());
    if row.severity != Severity::Unknown {
        writer.bytes(3, row.severity.as_str().as_bytes());
    }
    writer.message(5, |out| {
        // A string of OTLP has to be UTF-8; what is not goes as bytes, unharmed.
        let line = logs.line(row);
        let field = if std::str::from_utf8(line).is_ok() { 1 } else { 7 };
        Writer::new(out).always_bytes(field, line);
    });
    if let Some(trace) = TraceId::new(row.trace, row.spelling) {
        writer.bytes(9, &trace.bits().to_be_bytes());
        if row.span != 0 {
            writer.bytes(10, &row.span.to_be_bytes());
        }
    }
    writer.fixed64(11, row.observed);
    for (name, value) in logs.metadata(row) {
        let (name, of_resource) = of_metadata(name);
        if !of_resource {
            attribute(out, 6, name, value);
        }
    }
}

fn attribute(out: &mut Vec<u8>, field: u32, name: &str, value: &str) {
    Writer::new(out).message(field, |out| {
        let mut out = Writer::new(out);
        out.bytes(1, name.as_bytes());
        out.message(2, |out| Writer::new(out).always_bytes(1, value.as_bytes()));
    });
}
