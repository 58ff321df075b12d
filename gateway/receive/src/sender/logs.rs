//! Log records get the pod's identity as labels of their streams, as lines have that are read from its files, and the rest as
//! metadata.

use std::collections::HashMap;
use std::sync::Arc;

use kubernetes::Pod;
use parsers::record::{ByteRange, Labels, LogBatch, push_pair};

use super::said::{Found, Said, resolve};
use super::{KNOWN_BY, MAX_ADDED, Senders};

/// What is added to a record.
struct More {
    found: Found,
    metadata: Vec<(String, String)>,
}

impl More {
    fn new(found: Found) -> Self {
        let mut metadata = vec![("pod_uid".to_owned(), found.pod.uid.clone())];
        let written = |name: String| name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        metadata.extend(found.pod.attributes().into_iter().map(|(name, value)| (written(name), value)));
        metadata.push((KNOWN_BY.to_owned(), found.by.to_owned()));
        Self { found, metadata }
    }

    /// The labels of a stream with those of the pod that it has not.
    fn labelled(&self, labels: &Labels) -> Labels {
        let pod = &self.found.pod;
        let more = [
            ("namespace", Some(pod.namespace.as_str())),
            ("pod", Some(pod.name.as_str())),
            ("container", self.found.container()),
        ];
        more.into_iter().fold(labels.clone(), |labels, (name, value)| match value {
            Some(value) if labels.get(name).is_none() => labels.with(name, value),
            _ => labels,
        })
    }
}

pub(super) fn mark(logs: &mut LogBatch, senders: &dyn Senders, sender: Option<&Arc<Pod>>) {
    let Some((of_rows, found)) = found(logs, senders, sender) else { return };
    let found: Vec<Option<More>> = found.into_iter().map(|found| found.map(More::new)).collect();
    let mut streams = HashMap::new();
    let before = std::mem::take(&mut logs.streams);
    let meta = std::mem::take(&mut logs.meta);
    let mut added = 0;
    for (row, number) in logs.rows.iter_mut().zip(of_rows) {
        let own = row.meta.of(&meta);
        let start = logs.meta.len() as u32;
        logs.meta.extend_from_slice(own);
        let more = found.get(number).and_then(Option::as_ref).filter(|_| added <= MAX_ADDED);
        let known = |name: &str| parsers::record::Pairs::new(own).any(|(known, _)| known == name);
        for (name, value) in more.iter().flat_map(|more| &more.metadata).filter(|(name, _)| !known(name)) {
            added += name.len() + value.len();
            push_pair(&mut logs.meta, name, value);
        }
        row.meta = ByteRange { start, end: logs.meta.len() as u32 };
        let labels = before.get(row.stream as usize);
        row.stream = *streams.entry((row.stream, more.map(|_| number))).or_insert_with(|| {
            let labels = labels.cloned().unwrap_or_default();
            logs.streams
                .push(more.map_or_else(|| Arc::clone(&labels), |more| Arc::new(more.labelled(&labels))));
            (logs.streams.len() - 1) as u32
        });
    }
}

/// For each row the number of what it says, and for each of those the pod; `None` where no pod is found at all.
fn found(
    logs: &LogBatch,
    senders: &dyn Senders,
    sender: Option<&Arc<Pod>>,
) -> Option<(Vec<usize>, Vec<Option<Found>>)> {
    let (mut numbers, mut all) = (HashMap::new(), Vec::new());
    let mut of_rows = Vec::with_capacity(logs.rows.len());
    for row in &logs.rows {
        let mut said = Said::default();
        for (name, value) in logs.streams.get(row.stream as usize).iter().flat_map(|labels| labels.iter()) {
            said.take(name, value);
        }
        for (name, value) in logs.metadata(row) {
            said.take(name, value);
        }
        of_rows.push(*numbers.entry(said).or_insert_with_key(|said| {
            all.push(said.clone());
            all.len() - 1
        }));
    }
    let found = resolve(&all, senders, sender);
    found.iter().any(Option::is_some).then_some((of_rows, found))
}
