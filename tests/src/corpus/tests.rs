//! The corpora are what their manifests say, and the same each time.

use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::*;

const START: u64 = 1_780_000_000_000_000_000;

fn files_below(root: &std::path::Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for pod in std::fs::read_dir(root).unwrap() {
        for container in std::fs::read_dir(pod.unwrap().path()).unwrap() {
            let file = container.unwrap().path().join("0.log");
            found.push((
                file.strip_prefix(root).unwrap().display().to_string(),
                std::fs::read_to_string(&file).unwrap(),
            ));
        }
    }
    found.sort();
    found
}

#[test]
fn log_files_hold_what_the_manifest_says_and_are_the_same_each_time() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let manifest = write_logs(one.path(), 20_000, START).unwrap();
    assert_eq!(manifest, write_logs(two.path(), 20_000, START).unwrap());
    let files = files_below(one.path());
    assert!(files == files_below(two.path()), "same arguments, same bytes");
    assert_eq!(files.len() as u64, manifest.files);
    assert!((20_000..20_006).contains(&manifest.records));

    let (mut records, mut bytes) = (0, 0);
    let mut joined: Vec<String> = Vec::new();
    for (_, text) in &files {
        bytes += text.len() as u64;
        let mut pending = String::new();
        for line in text.lines() {
            let mut parts = line.splitn(4, ' ').skip(2);
            let (flag, message) = (parts.next().unwrap(), parts.next().unwrap());
            pending.push_str(message);
            if flag == "F" {
                joined.push(std::mem::take(&mut pending));
                records += 1;
            }
        }
    }
    assert_eq!((records, bytes), (manifest.records, manifest.bytes));
    assert!(manifest.lines > manifest.records, "some records are split");
    assert_eq!(manifest.sample.len(), 1000);
    for (id, count) in manifest.sample.iter().take(50) {
        assert_eq!(joined.iter().filter(|line| line.contains(id.as_str())).count() as u64, *count);
    }
    let share = manifest.traced_records as f64 / manifest.records as f64;
    assert!((0.5..0.65).contains(&share), "{share}");
}

#[test]
fn span_bodies_decode_and_sampled_traces_are_whole() {
    let (bodies, manifest) = span_bodies(20_000, START);
    assert_eq!((bodies.clone(), manifest.clone()), span_bodies(20_000, START), "same arguments, same bytes");
    let mut counts: HashMap<u128, usize> = HashMap::new();
    let mut spans = 0;
    for body in &bodies {
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        for span in request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans) {
            spans += 1;
            *counts.entry(u128::from_be_bytes(span.trace_id.as_slice().try_into().unwrap())).or_default() +=
                1;
        }
    }
    assert_eq!(spans, manifest.spans);
    assert_eq!(manifest.sample.len(), 1000);
    assert!(
        manifest.sample.iter().all(|id| counts[&u128::from_str_radix(id, 16).unwrap()] == SPANS_PER_TRACE)
    );
}
