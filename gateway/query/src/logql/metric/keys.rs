//! Which series a row belongs to: its labels, grouped, and found again without a copy of them.

use std::sync::Arc;

use parsers::record::Labels;
use rustc_hash::FxHashMap;

use super::room_of;
use crate::logql::pipeline::{Kind, Row};
use crate::logql::plan::Needed;
use crate::logql::syntax::{Grouping, LogQuery, Unwrap};

/// Bytes of a key beside its text: its place in a table that is half empty.
const KEY: u64 = 48;
/// Bytes of a series beside its labels: its places in two tables, and room for its first values.
const SERIES: u64 = 160;

/// How series are made of rows.
#[derive(Debug)]
pub(super) enum Keys {
    /// One for each combination of these, which are sorted.
    By(Vec<String>),
    /// One for each label set but these, structured metadata being of it only where the query names it.
    Without { names: Vec<String>, metadata: Vec<String> },
}

impl Keys {
    /// `outer` is a grouping that is applied at once; `wanted` are names by which the series are grouped or joined later.
    /// The label that is the sample is none of the series'.
    ///
    /// Metadata that nobody names makes no series of its own, unlike in Loki: here each line has some (its thread, its
    /// caller, its trace), whoever sent it.
    pub(super) fn new(
        grouping: Option<&Grouping>,
        outer: Option<&Grouping>,
        wanted: &[String],
        lines: &LogQuery,
        unwrap: Option<&Unwrap>,
    ) -> Self {
        let mut dropped: Vec<String> = unwrap.map(|unwrap| unwrap.name.clone()).into_iter().collect();
        // What a query gives a name, it is interested in.
        let metadata = || wanted.iter().chain(lines.renamed()).cloned().collect();
        match outer.or(grouping) {
            Some(Grouping { without: false, names }) => {
                let mut names = names.clone();
                names.sort();
                names.dedup();
                Self::By(names)
            }
            Some(Grouping { without: true, names }) => {
                dropped.extend(names.iter().cloned());
                Self::Without { names: dropped, metadata: metadata() }
            }
            None => Self::Without { names: dropped, metadata: metadata() },
        }
    }

    /// Which labels make a difference.
    pub(super) fn needed(&self, query: &LogQuery, unwrap: Option<&Unwrap>) -> Needed {
        match self {
            Self::By(names) => Needed::by(names, query, unwrap),
            Self::Without { .. } => Needed::All,
        }
    }

    /// Whether ids are among the labels.
    pub(super) fn has_ids(&self) -> bool {
        let (Self::By(names) | Self::Without { metadata: names, .. }) = self;
        names.iter().any(|name| name == "trace_id" || name == "span_id")
    }

    fn labels(&self, row: &Row<'_>) -> Labels {
        match self {
            Self::By(names) => {
                Labels::new(names.iter().filter_map(|name| Some((name.as_str(), row.get(name)?))))
            }
            Self::Without { .. } => {
                let mut pairs = Vec::new();
                self.each(row, &mut |name, value| pairs.push((name.to_owned(), value.to_owned())));
                Labels::new(pairs)
            }
        }
    }

    /// Each label that makes a difference.
    fn each(&self, row: &Row<'_>, visit: &mut dyn FnMut(&str, &str)) {
        match self {
            Self::By(names) => names.iter().for_each(|name| visit("", row.get(name).unwrap_or_default())),
            Self::Without { names, metadata } => row.each(|kind, name, value| {
                let listed = |names: &[String]| names.iter().any(|listed| listed == name);
                let counts = kind != Kind::Structured || listed(metadata);
                if counts && !listed(names) && !value.is_empty() {
                    visit(name, value);
                }
            }),
        }
    }
}

/// Series by label set, each with a number.
#[derive(Debug, Default)]
pub(super) struct Found {
    by_key: FxHashMap<Box<[u8]>, usize>,
    /// Rows may spell one label set in several orders.
    by_labels: FxHashMap<Arc<Labels>, usize>,
    pub(super) labels: Vec<Arc<Labels>>,
    key: Vec<u8>,
    /// Bytes of keys and labels that nobody has asked about yet.
    added: u64,
}

impl Found {
    /// The number of a row's series.
    pub(super) fn place(&mut self, keys: &Keys, row: &Row<'_>) -> usize {
        self.key.clear();
        let key = &mut self.key;
        keys.each(row, &mut |name, value| {
            for text in [name, value] {
                key.extend_from_slice(&(text.len() as u32).to_le_bytes());
                key.extend_from_slice(text.as_bytes());
            }
        });
        if let Some(place) = self.by_key.get(self.key.as_slice()) {
            return *place;
        }
        let labels = Arc::new(keys.labels(row));
        let added = &mut self.added;
        *added += KEY + self.key.len() as u64;
        let place = *self.by_labels.entry(Arc::clone(&labels)).or_insert_with(|| {
            *added += SERIES + room_of(&labels);
            self.labels.push(labels);
            self.labels.len() - 1
        });
        self.by_key.insert(self.key.as_slice().into(), place);
        place
    }

    /// Bytes that keys and series took since this was asked last: who asks sees that they do not grow without end.
    pub(super) fn added(&mut self) -> u64 {
        std::mem::take(&mut self.added)
    }
}
