//! Exemplars in Prometheus' shape on their way to a batch: the ids are found among their labels.

use parsers::line::{Meaning, meaning};
use parsers::record::normalise::keyed;
use parsers::record::{ByteRange, ExemplarOrigin, ExemplarRow, MetricBatch, push_pair};

/// Bytes of one label, name and value, that are kept.
const MAX_LABEL: usize = 2048;

/// Appends an exemplar of a series of the batch. Labels that are too long are left out.
pub(crate) fn push_exemplar<'a>(
    batch: &mut MetricBatch,
    series: u32,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    value: f64,
    time: u64,
) {
    let mut row =
        ExemplarRow { value, series, time, origin: ExemplarOrigin::Application, ..ExemplarRow::default() };
    let start = batch.meta.len() as u32;
    for (name, value) in labels.into_iter().filter(|(name, value)| name.len() + value.len() <= MAX_LABEL) {
        if let Some(Meaning::Id(class)) = meaning(name)
            && let Ok(found) = keyed(class, value.as_bytes())
        {
            if let Some(trace) = found.trace {
                row.trace = trace.bits();
                row.spelling = trace.spelling();
            }
            row.span = found.span.map_or(row.span, |span| span.bits());
            continue;
        }
        push_pair(&mut batch.meta, name, value);
    }
    row.labels = ByteRange { start, end: batch.meta.len() as u32 };
    batch.exemplars.push(row);
}
