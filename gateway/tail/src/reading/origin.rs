//! What a path says about its lines: labels, and metadata that varies too much to be labels.

use std::path::Path;
use std::sync::Arc;

use parsers::container::{PodPath, Stream};
use parsers::record::{Labels, push_pair};
use parsers::stage::Fields;
use parsers::stage::relabel::{Relabel, discovered, strip};

use super::batch::Origin;
use crate::pods::Notes;
use crate::report::ContainerReport;

/// A report of a file, named by where its container writes.
pub(crate) fn report(path: &Arc<str>, live: &str, rules: &Arc<[Arc<str>]>) -> ContainerReport {
    let names =
        PodPath::parse(live).map_or(["", "", stem(live)], |pod| [pod.namespace, pod.pod, pod.container]);
    ContainerReport::new(path, names, Arc::clone(rules))
}

fn stem(path: &str) -> &str {
    Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

/// Labels namespace, pod, container, stream and service_name of a container's file, filename and service_name of any other;
/// node for all if it is known; and what else is known of the container. Relabelling sees these and what Prometheus' discovery would say, and may change them all;
/// `None` if it says that the file is not to be read. `path` is where the container writes, whatever file is read.
pub(crate) fn origin(
    path: &Arc<str>,
    node: Option<&str>,
    relabel: Option<&Relabel>,
    notes: Option<&Notes>,
    report: ContainerReport,
) -> Option<Origin> {
    let mut metadata = Vec::new();
    let pod = PodPath::parse(path);
    if let Some(pod) = &pod {
        if let Some(uid) = pod.uid {
            push_pair(&mut metadata, "pod_uid", uid);
        }
        if let Some(restart) = pod.restart {
            push_pair(&mut metadata, "restart", &restart.to_string());
        }
        push_pair(&mut metadata, "filename", path);
    }
    for (name, value) in notes.iter().flat_map(|notes| &notes.metadata) {
        push_pair(&mut metadata, name, value);
    }
    let labels = [Stream::Stdout, Stream::Stderr, Stream::Unknown].map(|stream| {
        let mut pairs = vec![("stream", stream.as_str()), ("node", node.unwrap_or_default())];
        match &pod {
            Some(pod) => pairs.extend([
                ("namespace", pod.namespace),
                ("pod", pod.pod),
                ("container", pod.container),
                ("service_name", pod.container),
            ]),
            None => pairs.extend([("filename", &**path), ("service_name", stem(path))]),
        }
        pairs.extend(notes.iter().flat_map(|notes| &notes.labels).map(|(name, value)| (&**name, &**value)));
        match relabel {
            None => Some(Arc::new(Labels::new(pairs))),
            Some(relabel) => {
                let mut discovered = discovered(path, node);
                let more = notes.iter().flat_map(|notes| &notes.discovered);
                more.for_each(|(name, value)| discovered.set(name, value.as_str()));
                relabelled(discovered, pairs, relabel)
            }
        }
    });
    let [Some(stdout), Some(stderr), Some(unknown)] = labels else { return None };
    let labels = [stdout, stderr, unknown];
    Some(Origin { labels, metadata, report: Arc::new(report), slots: (0, [None; 3]) })
}

/// The labels that rules make of these, seeing also what was discovered; `None` if they say that nothing is to be read.
pub(crate) fn relabelled<'a>(
    discovered: Fields,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    relabel: &Relabel,
) -> Option<Arc<Labels>> {
    let mut all = discovered;
    labels.into_iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| all.set(name, value));
    relabel.apply(&mut all).then(|| {
        strip(&mut all);
        Arc::new(Labels::new(all.iter()))
    })
}
