//! What a resource or a log record says of where it is from, and the pod that is found by it.

use std::collections::HashSet;
use std::sync::Arc;

use kubernetes::Pod;
use parsers::record::{Resource, Value};

use super::Senders;

/// What says which program it is; several in one request are not of one sender.
const PROGRAM: [&str; 8] = [
    "service_name",
    "service_namespace",
    "service_instance_id",
    "instance",
    "container_id",
    "container",
    "app",
    "job",
];

/// What is said. Names of attributes have `_` for each `.`, as Loki writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Said<'a> {
    uid: Option<&'a str>,
    ip: Option<&'a str>,
    pod: Option<&'a str>,
    namespace: Option<&'a str>,
    host: Option<&'a str>,
    /// It was read from a file, so whoever sent it may not have written it.
    of_file: bool,
    program: [Option<&'a str>; PROGRAM.len()],
}

impl<'a> Said<'a> {
    pub(super) fn of_resource(resource: &'a Resource) -> Self {
        let mut said = Self::default();
        for (key, value) in &resource.attributes {
            if let Value::Str(value) = value {
                said.take(key, value);
            }
        }
        said
    }

    /// Looks at a field; the first of a name counts.
    pub(super) fn take(&mut self, name: &str, value: &'a str) {
        if value.is_empty() {
            return;
        }
        let is = |other: &str| {
            name.len() == other.len()
                && name.bytes().zip(other.bytes()).all(|(a, b)| a == b || (a == b'.' && b == b'_'))
        };
        let place = match name.as_bytes().first() {
            Some(b'k' | b'p' | b'n' | b'h' | b'l' | b'f') => {
                if is("k8s_pod_uid") || is("pod_uid") {
                    &mut self.uid
                } else if is("k8s_pod_ip") {
                    &mut self.ip
                } else if is("k8s_pod_name") || is("pod") {
                    &mut self.pod
                } else if is("k8s_namespace_name") || is("namespace") {
                    &mut self.namespace
                } else if is("host_name") || is("host") || is("hostname") {
                    &mut self.host
                } else {
                    self.of_file |= is("filename") || is("log_file_path") || is("log_file_name");
                    return;
                }
            }
            _ => {
                let place = PROGRAM.iter().position(|known| is(known));
                let Some(place) = place.and_then(|at| self.program.get_mut(at)) else { return };
                place
            }
        };
        place.get_or_insert(value);
    }

    /// Whether it says nothing against this pod.
    fn fits(&self, pod: &Pod) -> bool {
        self.pod.is_none_or(|name| name == pod.name)
            && self.namespace.is_none_or(|namespace| namespace == pod.namespace)
    }

    fn find(&self, senders: &dyn Senders, sender: Option<&Arc<Pod>>) -> Option<Found> {
        let (pod, by) = if let Some(uid) = self.uid {
            (senders.of_uid(uid)?, "uid")
        } else if let Some(ip) = self.ip {
            (senders.of_address(ip.parse().ok()?)?, "ip")
        } else {
            let is_it = |pod: &&Arc<Pod>| !self.of_file && self.host.is_none_or(|host| pod.is_host(host));
            (Arc::clone(sender.filter(is_it)?), "connection")
        };
        self.fits(&pod).then_some(Found { pod, by })
    }
}

/// A pod, and by what it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub pod: Arc<Pod>,
    /// `uid`, `ip` or `connection`
    pub by: &'static str,
}

impl Found {
    /// The container, where there is only one.
    pub(super) fn container(&self) -> Option<&str> {
        match self.pod.containers.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// All of the pod, by the names of OpenTelemetry's attributes.
    pub(super) fn attributes(&self) -> Vec<(String, String)> {
        let identity = [
            ("k8s.namespace.name", Some(self.pod.namespace.as_str())),
            ("k8s.pod.name", Some(self.pod.name.as_str())),
            ("k8s.pod.uid", Some(self.pod.uid.as_str())),
            ("k8s.container.name", self.container()),
        ];
        let identity =
            identity.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())));
        identity.chain(self.pod.attributes()).collect()
    }
}

/// The pods of all that a request says; `sender` has its address, which says nothing of a request with records of several
/// programs.
pub(super) fn resolve(
    said: &[Said<'_>],
    senders: &dyn Senders,
    sender: Option<&Arc<Pod>>,
) -> Vec<Option<Found>> {
    let programs: HashSet<_> = said.iter().map(|said| (said.program, said.host)).collect();
    let sender = sender.filter(|_| programs.len() <= 1);
    said.iter().map(|said| said.find(senders, sender)).collect()
}
