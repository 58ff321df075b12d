//! What the path of a container's log file says: namespace, pod, UID, container, how often it was restarted. No API needed.

/// The identity in a path; borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodPath<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Pod name.
    pub pod: &'a str,
    /// Pod UID; for a static pod, the hash of its manifest. `None` in the links under `/var/log/containers`.
    pub uid: Option<&'a str>,
    /// Container name.
    pub container: &'a str,
    /// Which run of the container, counted from 0. `None` where the path does not say.
    pub restart: Option<u32>,
    /// What rotation appended to `<n>.log`: a time, perhaps `.gz`. `None` for the file being written.
    pub rotated: Option<&'a str>,
}

impl<'a> PodPath<'a> {
    /// Reads `.../<namespace>_<pod>_<uid>/<container>/<n>.log[.<rotation>]`, wherever the pods folder lies, or the kubelet's
    /// link `.../<pod>_<namespace>_<container>-<64 hex digits>.log`. `None` for any other path.
    pub fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.rsplit('/');
        let file = parts.next()?;
        let container = parts.next();
        let folder = parts.next();
        container.zip(folder).and_then(|(c, f)| Self::under_pods(f, c, file)).or_else(|| Self::link(file))
    }

    fn under_pods(folder: &'a str, container: &'a str, file: &'a str) -> Option<Self> {
        // Neither namespaces nor pod names nor UIDs hold an underscore.
        let mut names = folder.split('_');
        let (namespace, pod, uid) = (names.next()?, names.next()?, names.next()?);
        if names.next().is_some() || [namespace, pod, uid, container].contains(&"") {
            return None;
        }
        let (restart, rest) = file.split_once(".log")?;
        let restart = restart.bytes().all(|b| b.is_ascii_digit()).then(|| restart.parse().ok()).flatten()?;
        let rotated = if rest.is_empty() { None } else { Some(rest.strip_prefix('.')?) };
        Some(Self { namespace, pod, uid: Some(uid), container, restart: Some(restart), rotated })
    }

    fn link(file: &'a str) -> Option<Self> {
        let mut names = file.strip_suffix(".log")?.split('_');
        let (pod, namespace, rest) = (names.next()?, names.next()?, names.next()?);
        let (container, id) = rest.rsplit_once('-')?;
        let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
        if names.next().is_some() || !is_id || [pod, namespace, container].contains(&"") {
            return None;
        }
        Some(Self { namespace, pod, uid: None, container, restart: None, rotated: None })
    }
}
