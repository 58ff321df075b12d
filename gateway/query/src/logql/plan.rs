//! What a query tells about the records that it needs, so that fewer are read and less is taken out of each.

use parsers::record::TraceId;
use store::read::{MatchOp, Matcher, Mention};

use super::syntax::*;

/// Any value but none.
const ANY: &str = ".+";

/// Matchers of all selectors of a query, in its order.
pub(super) fn selectors(node: &Node) -> Vec<Vec<Matcher>> {
    match node {
        Node::Log(query) => vec![matchers(query)],
        Node::Range(range) => vec![matchers(&range.lines)],
        Node::Vector(vector) => selectors(&vector.inner),
        Node::LabelReplace(replace) => selectors(&replace.inner),
        Node::Binary(binary) => {
            let mut all = selectors(&binary.left);
            all.extend(selectors(&binary.right));
            all
        }
        Node::Number(_) | Node::VectorOf(_) => Vec::new(),
    }
}

pub(super) fn matchers(query: &LogQuery) -> Vec<Matcher> {
    let compile = |matcher: &LabelMatcher| {
        let op = match &matcher.test {
            TextTest::Equal(value) => MatchOp::Equal(value.clone()),
            TextTest::NotEqual(value) => MatchOp::NotEqual(value.clone()),
            // What selects everything by a label, as each first query does, is not worth a program.
            TextTest::Matches(expression) if expression.text == ANY => MatchOp::NotEqual(String::new()),
            TextTest::Matches(expression) => MatchOp::Regex(expression.regex.clone()),
            TextTest::NotMatches(expression) => MatchOp::NotRegex(expression.regex.clone()),
        };
        Matcher { name: matcher.name.clone(), op }
    };
    query.matchers.iter().map(compile).collect()
}

/// What the store may skip by.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Hints {
    /// Each must be in the line.
    pub(super) contains: Vec<Vec<u8>>,
    /// Only records of this trace can pass.
    pub(super) trace: Option<TraceId>,
    /// Only records that mention this trace can pass: a parser takes its id out of the line, or it is the record's own.
    pub(super) mentions: Option<Mention>,
}

/// Texts and ids of the stages, as far as those before them leave lines and labels as they are stored.
pub(super) fn hints(query: &LogQuery) -> Hints {
    let mut hints = Hints::default();
    let (mut line_is_stored, mut labels_are_stored, mut labels_are_known) = (true, true, true);
    for stage in &query.stages {
        match stage {
            Stage::Line(LineFilter { negate: false, kind: LineFilterKind::Text, any }) if line_is_stored => {
                if let [Needle::Text(text)] = any.as_slice() {
                    hints.contains.push(text.as_bytes().to_vec());
                }
            }
            Stage::Line(_) => {}
            Stage::Label(filter) if labels_are_stored => {
                hints.trace = hints.trace.or(trace(filter).map(|(id, _)| id));
            }
            Stage::Label(filter) if labels_are_known && hints.mentions.is_none() => {
                hints.mentions = trace(filter).map(|(id, asked)| mention(id, asked));
            }
            Stage::Label(_) => {}
            Stage::Json(_) | Stage::Logfmt { .. } | Stage::Regexp(_) | Stage::Pattern(_) => {
                labels_are_stored = false;
            }
            Stage::Unpack => (line_is_stored, labels_are_stored) = (false, false),
            Stage::LineFormat(_) | Stage::Decolorize => line_is_stored = false,
            Stage::LabelFormat(_) | Stage::Drop(_) | Stage::Keep(_) => {
                (labels_are_stored, labels_are_known) = (false, false);
            }
        }
    }
    hints
}

/// The one trace that all records must be of, if a filter says so, and how it was asked for.
fn trace(filter: &LabelFilter) -> Option<(TraceId, &str)> {
    match filter {
        LabelFilter::Text(LabelMatcher { name, test: TextTest::Equal(value) }) if name == "trace_id" => {
            Some((TraceId::from_spelling(value.as_bytes()).ok()?, value))
        }
        LabelFilter::And(left, right) => trace(left).or_else(|| trace(right)),
        _ => None,
    }
}

/// What lines say of which a parser takes the id: the spelling that was asked for, or the usual one. Other spellings are known
/// where the record is of the trace.
fn mention(trace: TraceId, asked: &str) -> Mention {
    let mut texts = vec![asked.as_bytes().to_vec()];
    let usual = trace.to_string().into_bytes();
    if !texts.contains(&usual) {
        texts.push(usual);
    }
    Mention { trace, texts }
}

/// Which labels of a line anybody looks at: parsers need take out no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Needed {
    All,
    These(Vec<String>),
}

impl Needed {
    /// Those of a grouping, and those that the stages name.
    pub(super) fn by(names: &[String], query: &LogQuery, unwrap: Option<&Unwrap>) -> Self {
        let mut all = names.to_vec();
        let mut whole = false;
        for stage in &query.stages {
            whole |= !stage_names(stage, &mut all);
        }
        if let Some(unwrap) = unwrap {
            all.push(unwrap.name.clone());
            unwrap.filters.iter().for_each(|filter| filter_names(filter, &mut all));
        }
        if whole {
            return Self::All;
        }
        all.sort();
        all.dedup();
        Self::These(all)
    }

    /// Whether a label of this name may be looked at, be it under a name that says that it was extracted.
    pub(super) fn may_want(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.iter().any(|wanted| {
                wanted.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest == EXTRACTED)
            }),
        }
    }

    /// How many there are, if one may stop when all are found. Who looks at errors needs the whole line read.
    pub(super) fn stops_at(&self) -> usize {
        match self {
            Self::These(names) if !names.iter().any(|name| name.starts_with("__error")) => names.len(),
            _ => usize::MAX,
        }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.iter().any(|wanted| wanted == name),
        }
    }
}

/// What is put behind the name of an extracted label that the stream has, too.
pub(super) const EXTRACTED: &str = "_extracted";

/// Names that a stage looks at; false if it may look at any.
fn stage_names(stage: &Stage, out: &mut Vec<String>) -> bool {
    let mut template = |template: &parsers::stage::Template| match template.field_names() {
        Some(names) => {
            out.extend(names);
            true
        }
        None => false,
    };
    match stage {
        Stage::Label(filter) => filter_names(filter, out),
        Stage::LineFormat(format) => return template(format),
        Stage::LabelFormat(formats) => {
            let mut known = true;
            for (_, format) in formats {
                match format {
                    LabelFormat::Rename(from) => out.push(from.clone()),
                    LabelFormat::Template(format) => match format.field_names() {
                        Some(names) => out.extend(names),
                        None => known = false,
                    },
                }
            }
            return known;
        }
        // What is dropped need not be there, but `drop level="debug"` looks at it; so does `keep`.
        Stage::Drop(named) | Stage::Keep(named) => {
            out.extend(named.iter().filter(|named| named.test.is_some()).map(|named| named.name.clone()));
        }
        _ => {}
    }
    true
}

fn filter_names(filter: &LabelFilter, out: &mut Vec<String>) {
    match filter {
        LabelFilter::And(left, right) | LabelFilter::Or(left, right) => {
            filter_names(left, out);
            filter_names(right, out);
        }
        LabelFilter::Text(LabelMatcher { name, .. })
        | LabelFilter::Number { name, .. }
        | LabelFilter::Ip { name, .. } => out.push(name.clone()),
    }
}
