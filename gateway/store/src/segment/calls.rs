//! The section of a segment that says who called whom.

use std::io;
use std::sync::Arc;

use super::{Section, Segment, Writer};
use crate::calls::{Gather, Sheet};
use crate::codec::Output;

/// The sheet of a segment, and how many blocks could not be read for it. Older segments have no section, and a damaged one is
/// no loss: it is made of the spans again.
pub fn calls(segment: &Segment) -> (Sheet, u64) {
    let kept = segment.section(Section::Calls).ok().flatten();
    if let Some(Ok(sheet)) = kept.map(|bytes| Sheet::decode(&bytes)) {
        return (sheet, 0);
    }
    let (mut gather, mut damaged) = (Gather::default(), 0);
    for number in 0..segment.footer.blocks.len() {
        match segment.block(number) {
            Ok(batch) => {
                batch.spans.rows.iter().for_each(|row| gather.add(number as u32, &batch.spans, row));
            }
            Err(_) => damaged += 1,
        }
    }
    (gather.finish(), damaged)
}

/// The sheet of several segments. What was dropped from them since counts still: rates are not to change with sampling.
pub fn calls_of_all(segments: &[Arc<Segment>]) -> Sheet {
    let mut all = Sheet::default();
    segments.iter().for_each(|segment| all.merge(&calls(segment).0));
    all.pair_up();
    all
}

/// Writes the section.
pub fn write_calls(sheet: &Sheet, writer: &mut Writer) -> io::Result<()> {
    let mut out = Output::default();
    sheet.encode(&mut out);
    writer.section(Section::Calls, &out)
}
