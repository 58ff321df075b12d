//! What happens to one record between its stream and the answer.

mod extract;
mod json;
mod label_filter;
mod line_filter;
mod room;
mod row;

use std::ops::ControlFlow;
use std::time::{SystemTime, UNIX_EPOCH};

use parsers::stage::without_colours;
use store::read::LogView;

use super::plan::Needed;
use super::syntax::{Conversion, LabelFilter, LabelFormat, LogQuery, Named, Stage, Unwrap, bytes, duration};
use crate::QueryError;
use extract::Extractor;
use line_filter::Prepared;
use room::Room;

pub(crate) use json::{clean, flatten};
pub(super) use room::Kind;
pub(super) use row::Row;

/// What a template that cannot be filled in leaves behind.
const TEMPLATE_ERROR: &str = "TemplateFormatErr";
/// What a label leaves behind that is to be a sample and is no number.
const SAMPLE_ERROR: &str = "SampleExtractionErr";

/// The stages of one selector, prepared for many records.
#[derive(Debug)]
pub(super) struct Program<'q> {
    steps: Vec<Step<'q>>,
    extractor: Extractor,
    /// Whether somebody may ask for ids as labels.
    needs_ids: bool,
    room: Room,
    now: u64,
}

#[derive(Debug)]
enum Step<'q> {
    Line(Prepared<'q>),
    Other(&'q Stage),
}

impl<'q> Program<'q> {
    /// `needs_ids`: who takes the rows asks for ids as labels.
    pub(super) fn new(query: &'q LogQuery, needed: Needed, needs_ids: bool) -> Self {
        let step = |stage: &'q Stage| match stage {
            Stage::Line(filter) => Step::Line(Prepared::new(filter)),
            other => Step::Other(other),
        };
        let renamed = query.stages.iter().any(|stage| {
            matches!(stage, Stage::LabelFormat(_) | Stage::LineFormat(_))
                || matches!(stage, Stage::Label(filter) if compares_ids(filter))
        });
        Self {
            steps: query.stages.iter().map(step).collect(),
            needs_ids: needs_ids || renamed,
            extractor: Extractor::new(needed),
            room: Room::default(),
            now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64),
        }
    }

    /// Gives the row to `take`, as the stages leave it, unless one of them drops it.
    pub(super) fn run(
        &mut self,
        view: &LogView<'_>,
        take: &mut dyn FnMut(&mut Row<'_>) -> Result<ControlFlow<()>, QueryError>,
    ) -> Result<ControlFlow<()>, QueryError> {
        let mut row = Row::new(view, std::mem::take(&mut self.room), self.needs_ids, self.now);
        let passes = self.steps.iter().all(|step| match step {
            Step::Line(filter) => filter.passes(&mut row),
            Step::Other(stage) => apply(stage, &mut row, &mut self.extractor),
        });
        let taken = if passes { take(&mut row) } else { Ok(ControlFlow::Continue(())) };
        self.room = row.into_room();
        taken
    }

    /// The sample of a row; nothing if it has none, or a filter behind `unwrap` drops it.
    pub(super) fn sample(unwrap: &Unwrap, row: &mut Row<'_>) -> Option<f64> {
        let text = row.get(&unwrap.name).filter(|value| !value.is_empty())?;
        let value = match unwrap.conversion {
            Conversion::None => text.trim().parse().ok(),
            Conversion::Duration | Conversion::DurationSeconds => duration(text).map(|nanos| nanos / 1e9),
            Conversion::Bytes => bytes(text, true),
        };
        if value.is_none() {
            let details = format!("{}={text:?} cannot be read as a sample", unwrap.name);
            row.room().fail(SAMPLE_ERROR, details);
        }
        let passes = unwrap.filters.iter().all(|filter| label_filter::passes(filter, row));
        passes.then(|| value.unwrap_or(0.0))
    }
}

/// Whether a filter looks at ids as texts.
fn compares_ids(filter: &LabelFilter) -> bool {
    match filter {
        LabelFilter::And(left, right) | LabelFilter::Or(left, right) => {
            compares_ids(left) || compares_ids(right)
        }
        LabelFilter::Text(matcher) => matcher.name == "trace_id" || matcher.name == "span_id",
        LabelFilter::Number { name, .. } | LabelFilter::Ip { name, .. } => name == "span_id",
    }
}

fn apply(stage: &Stage, row: &mut Row<'_>, extractor: &mut Extractor) -> bool {
    match stage {
        Stage::Line(_) => {}
        Stage::Label(filter) => return label_filter::passes(filter, row),
        Stage::Json(paths) => extractor.json(paths, row),
        Stage::Logfmt { strict, keep_empty, keys } => extractor.logfmt(*strict, *keep_empty, keys, row),
        Stage::Regexp(expression) => extractor.regexp(&expression.regex, row),
        Stage::Pattern(pattern) => extractor.pattern(pattern, row),
        Stage::Unpack => extractor.unpack(row),
        Stage::Decolorize => {
            if memchr::memchr(0x1b, row.bytes()).is_some() {
                let plain = without_colours(row.text().0);
                row.set_line(plain);
            }
        }
        Stage::LineFormat(template) => match template.render(row) {
            Ok(line) => row.set_line(line),
            Err(failed) => row.room().fail(TEMPLATE_ERROR, failed),
        },
        Stage::LabelFormat(formats) => label_format(formats, row),
        Stage::Drop(named) => named.iter().for_each(|named| {
            if meets(named, row) {
                row.remove(&named.name);
            }
        }),
        Stage::Keep(named) => {
            row.retain(|name, value| {
                let kept =
                    |named: &Named| named.name == name && named.test.as_ref().is_none_or(|t| t.passes(value));
                named.iter().any(kept)
            });
        }
    }
    true
}

fn meets(named: &Named, row: &Row<'_>) -> bool {
    named.test.as_ref().is_none_or(|test| test.passes(row.get(&named.name).unwrap_or_default()))
}

/// Templates see labels as they were before the others of the same stage were filled in.
fn label_format(formats: &[(String, LabelFormat)], row: &mut Row<'_>) {
    let mut filled: Vec<(&str, String)> = Vec::new();
    for (name, format) in formats {
        match format {
            LabelFormat::Rename(from) => {
                let found = row.get_with_kind(from).map(|(value, kind)| (value.to_owned(), kind));
                let Some((value, kind)) = found else { continue };
                row.room().set(kind, name, &value);
                if name != from {
                    row.remove(from);
                }
            }
            LabelFormat::Template(template) => match template.render(row) {
                Ok(value) => filled.push((name, value)),
                Err(failed) => row.room().fail(TEMPLATE_ERROR, failed),
            },
        }
    }
    for (name, value) in filled {
        row.room().set(Kind::Parsed, name, &value);
    }
}
