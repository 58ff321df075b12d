//! `cri` and `docker`: unwrap lines that a container runtime wrapped, and join those that it split. Lines of container
//! files come here unwrapped already and pass as they are.

use crate::container::{Carried, JoinLimits, Joiner, Stream};

use super::entry::Entry;

/// `cri` or `docker`.
#[derive(Debug)]
pub(super) struct Unwrap {
    docker: bool,
    joiner: Joiner,
    /// A split record's last entry and where its first line began, by output.
    pending: [Option<(Entry, Carried)>; 2],
}

impl Clone for Unwrap {
    /// What is half joined stays with the original.
    fn clone(&self) -> Self {
        Self::new(self.docker)
    }
}

impl Unwrap {
    pub fn cri() -> Self {
        Self::new(false)
    }

    pub fn docker() -> Self {
        Self::new(true)
    }

    fn new(docker: bool) -> Self {
        Self { docker, joiner: Joiner::new(JoinLimits::default()), pending: [None, None] }
    }

    pub fn reset(&mut self) {
        *self = Self::new(self.docker);
    }

    /// The record that this line completes.
    pub fn push(&mut self, entry: Entry) -> Option<Entry> {
        let wrapped = if self.docker {
            entry.line.starts_with('{')
        } else {
            entry.line.starts_with(|c: char| c.is_ascii_digit())
        };
        if !wrapped {
            return Some(entry);
        }
        let Self { docker, joiner, pending } = self;
        let line = entry.line.as_bytes();
        let mut whole = None;
        joiner.push(line, entry.offset, &mut |line| {
            let slot = (line.stream != Stream::Unknown)
                .then(|| pending.get_mut(line.stream as usize).and_then(Option::take))
                .flatten();
            let mut entry =
                slot.map_or_else(|| entry.clone(), |(first, _)| Entry { offset: entry.offset, ..first });
            if line.stream != Stream::Unknown {
                let text = String::from_utf8_lossy(line.text);
                finish(&mut entry, *docker, line.time, line.stream, &text);
                entry.truncated += line.truncated;
            }
            whole = Some(entry);
        });
        if whole.is_none() {
            let from = Carried { files_back: 0, offset: entry.offset };
            for (slot, stream) in pending.iter_mut().zip([Stream::Stdout, Stream::Stderr]) {
                // Whatever its text says, a fragment belongs to the output that has become half joined with it.
                if slot.is_none() && joiner.is_half_joined(stream) {
                    *slot = Some((Entry { line: String::new(), ..entry.clone() }, from));
                }
            }
        }
        whole
    }

    /// What is half joined, as it is.
    pub fn flush(&mut self, offset: u64) -> Vec<Entry> {
        let Self { docker, joiner, pending } = self;
        let mut entries = Vec::new();
        joiner.flush(&mut |line| {
            let slot = pending.get_mut(line.stream as usize).and_then(Option::take);
            let mut entry = slot.map(|(first, _)| first).unwrap_or_default();
            entry.offset = offset;
            finish(&mut entry, *docker, line.time, line.stream, &String::from_utf8_lossy(line.text));
            entries.push(entry);
        });
        *pending = [None, None];
        entries
    }

    /// Outputs with where their records began.
    pub fn held(&self) -> impl Iterator<Item = (&str, Carried)> {
        let outputs = ["stdout", "stderr"].into_iter().zip(&self.pending);
        outputs.filter_map(|(output, pending)| Some((output, pending.as_ref()?.1)))
    }

    pub fn for_held(&mut self, change: &mut dyn FnMut(&mut Carried)) {
        self.pending.iter_mut().flatten().for_each(|(_, from)| change(from));
    }
}

fn finish(entry: &mut Entry, docker: bool, time: Option<u64>, stream: Stream, text: &str) {
    entry.time = time.unwrap_or(entry.time);
    entry.labels.set("stream", stream.as_str());
    entry.extracted.set("stream", stream.as_str());
    if docker {
        entry.extracted.set("output", text);
    } else {
        entry.extracted.set("flags", "F");
        entry.extracted.set("content", text);
    }
    if let Some(time) = time {
        let name = if docker { "timestamp" } else { "time" };
        entry.extracted.set(name, crate::record::format_rfc3339(time));
    }
    text.clone_into(&mut entry.line);
}
