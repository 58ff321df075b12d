//! What is encoded comes back; any other bytes are damage or records, and nothing worse.

use proptest::prelude::*;

use super::*;
use crate::codec::{
    Damaged, FrameTexts, Input, LogBlock, LogParts, Output, decode_batch, decode_logs, encode_batch,
    encode_log_block, encode_logs,
};
use crate::segment::{Filter, key};

fn text() -> impl Strategy<Value = Vec<u8>> {
    // Lines that hold the ids of their rows once, twice, overlapping, or not at all.
    prop_oneof![
        Just(format!("t={TRACE:032x} s={:016x}", TRACE as u64).into_bytes()),
        Just(format!("{TRACE:032x}{TRACE:032x}").into_bytes()),
        Just(b"a0e0e4736".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..60),
    ]
}

prop_compose! {
    fn log_row()(time in any::<u64>(), observed in any::<u64>(), offset in any::<u64>(), trace in prop_oneof![Just(0), Just(TRACE), any::<u128>()],
        span in prop_oneof![Just(0), Just(TRACE as u64), any::<u64>()], severity in 0u8..7, spelling in any::<u8>(), line in text(), key in "[a-z]{0,3}")
        -> (LogRow, Vec<u8>, String)
    {
        let severity = Severity::from_code(severity);
        (LogRow { time, observed, offset, trace, span, severity, spelling: Spelling::from_code(spelling), file: 1, rule: 1, ..LogRow::default() }, line, key)
    }
}

fn log_batch(rows: Vec<(LogRow, Vec<u8>, String)>) -> LogBatch {
    let mut batch = LogBatch::default();
    if rows.is_empty() {
        return batch;
    }
    batch = LogBatch {
        streams: vec![Arc::new(Labels::new([("app", "x")]))],
        rules: vec!["r".into()],
        files: vec![FileId::default()],
        ..batch
    };
    for (row, line, key) in rows {
        let line = batch.push_text(&line);
        let start = batch.meta.len() as u32;
        push_pair(&mut batch.meta, &key, "v");
        batch.rows.push(LogRow { line, meta: ByteRange { start, end: batch.meta.len() as u32 }, ..row });
    }
    batch
}

/// Trace ids of a block, so far from each other.
struct Table(Vec<u128>, u32);

impl Table {
    fn of(batch: &LogBatch, far: u32) -> Self {
        let mut ids: Vec<u128> = batch.rows.iter().map(|row| row.trace).collect();
        ids.sort_unstable();
        ids.dedup();
        Self(ids, far)
    }

    fn number(&self, trace: u128) -> u32 {
        self.0.binary_search(&trace).unwrap() as u32 * self.1
    }

    /// Those of a block that are wanted, in the frames that have some, or those of them up to the last one of a trace.
    fn read(
        &self,
        parts: &LogParts,
        of: Option<u64>,
        wanted: impl Fn(&LogRow) -> bool,
    ) -> Result<LogBatch, Damaged> {
        let (first, count) = parts.traces;
        let id =
            |number: u32| if number.is_multiple_of(self.1) { self.0[(number / self.1) as usize] } else { 0 };
        let traces: Vec<u8> = (first..first + count).flat_map(|number| id(number).to_be_bytes()).collect();
        let labels = Arc::new(Labels::new([("app", "x")]));
        let block = LogBlock::of_parts(parts.columns.as_bytes(), parts.ids.as_bytes(), &traces, &labels, of)?;
        let Some(block) = block else { return Ok(LogBatch::default()) };
        let mut frames = Frames(parts);
        block.only(&parts.frames, &mut frames, |frame, row| {
            assert!(frame < parts.frames.len());
            wanted(row)
        })
    }
}

/// The lines of each frame.
struct Frames<'a>(&'a LogParts);

impl FrameTexts for Frames<'_> {
    fn text(&mut self, frame: usize) -> Result<&[u8], Damaged> {
        let before: usize = self.0.frames[..frame].iter().map(|frame| frame.bytes).sum();
        Ok(&self.0.text[before..][..self.0.frames[frame].bytes])
    }
}

proptest! {
    #[test]
    fn log_records_come_back(rows in proptest::collection::vec(log_row(), 0..20)) {
        let batch = log_batch(rows);
        let mut out = Output::default();
        encode_logs(&batch, &mut out);
        let mut input = Input::new(out.as_bytes());
        prop_assert_eq!(decode_logs(&mut input).unwrap(), batch);
        prop_assert_eq!(input.left(), 0);
    }

    #[test]
    fn blocks_of_log_records_come_back_whole_and_in_part(
        rows in proptest::collection::vec(log_row(), 1..20), metas in proptest::collection::vec(any::<prop::sample::Index>(), 20),
        odd in any::<bool>(), frame in 1usize..200, far in prop_oneof![Just(1u32), Just(5000)],
    ) {
        let mut batch = log_batch(rows);
        let known: Vec<ByteRange> = batch.rows.iter().map(|row| row.meta).collect();
        for (row, from) in batch.rows.iter_mut().zip(metas) {
            row.meta = *from.get(&known);
        }
        let table = Table::of(&batch, far);
        let parts = encode_log_block(&batch, frame, |trace| table.number(trace));
        let records = |batch: &LogBatch| batch.rows.iter().map(|row| batch.record(row)).collect::<Vec<_>>();
        prop_assert_eq!(parts.frames.iter().map(|frame| frame.records).sum::<usize>(), batch.rows.len());
        prop_assert_eq!(records(&table.read(&parts, None, |_| true).unwrap()), records(&batch));
        let wanted = |row: &LogRow| (row.trace & 1 == 1) == odd;
        let mut some = batch.clone();
        some.rows.retain(wanted);
        prop_assert_eq!(records(&table.read(&parts, None, wanted).unwrap()), records(&some));
        for low64 in batch.rows.iter().map(|row| row.trace as u64).chain([1]) {
            let of_trace = |row: &LogRow| row.trace != 0 && row.trace as u64 == low64;
            let mut some = batch.clone();
            some.rows.retain(of_trace);
            prop_assert_eq!(records(&table.read(&parts, Some(low64), of_trace).unwrap()), records(&some));
        }
    }

    #[test]
    fn changed_blocks_are_damage_or_records(count in 1u64..10, at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let logs = batch(0, count).logs.clone();
        let table = Table::of(&logs, 1);
        let mut parts = encode_log_block(&logs, 50, |trace| table.number(trace));
        let mut bytes = std::mem::take(&mut parts.columns).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = with;
        let cut = cut.index(bytes.len());
        for bytes in [&bytes[..], &bytes[..cut]] {
            let mut changed = Output::default();
            changed.raw(bytes);
            parts.columns = changed;
            let _ = table.read(&parts, None, |_| true);
            let _ = table.read(&parts, Some(logs.rows[0].trace as u64), |_| true);
        }
    }

    #[test]
    fn whole_batches_come_back(rows in proptest::collection::vec(log_row(), 0..5), from in 0u64..1000, count in 0u64..20, offset in any::<u64>()) {
        let batch = Batch { logs: log_batch(rows), spans: spans(from, count), metrics: metrics(from, count), positions: vec![position(offset)] };
        let batch = if count == 0 { Batch { spans: SpanBatch::default(), ..batch } } else { batch };
        let bytes = encode_batch(&batch);
        let back = decode_batch(&bytes).unwrap();
        prop_assert_eq!(&back.logs, &batch.logs);
        prop_assert_eq!(&back.metrics, &batch.metrics);
        prop_assert_eq!(&back.positions, &batch.positions);
        // Payloads lie elsewhere in the buffer; they and the rows say the same.
        prop_assert_eq!(back.spans.rows.len(), batch.spans.rows.len());
        for (a, b) in back.spans.rows.iter().zip(&batch.spans.rows) {
            prop_assert_eq!(a.payload.of(&back.spans.bytes), b.payload.of(&batch.spans.bytes));
            prop_assert_eq!(a.name.of(&back.spans.bytes), b.name.of(&batch.spans.bytes));
            let same = SpanRow { payload: b.payload, name: b.name, ..*a };
            prop_assert_eq!(&same, b);
        }
    }

    #[test]
    fn numbers_come_back_and_can_be_passed_over(
        numbers in proptest::collection::vec(prop_oneof![any::<u64>(), 0u64..300, (0u32..64).prop_map(|bits| 1 << bits)], 0..40),
        passed in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut out = Output::default();
        numbers.iter().for_each(|number| out.varint(*number));
        let passed = passed.index(numbers.len() + 1);
        let mut input = Input::new(out.as_bytes());
        input.skip_varints(passed).unwrap();
        for number in &numbers[passed..] {
            prop_assert_eq!(input.varint().unwrap(), *number);
        }
        prop_assert_eq!(input.left(), 0);
        let cut = &out.as_bytes()[..cut.index(out.as_bytes().len() + 1)];
        if cut.len() < out.as_bytes().len() {
            prop_assert_eq!(Input::new(cut).skip_varints(numbers.len()), Err(Damaged));
        }
    }

    #[test]
    fn other_bytes_are_damage_or_records(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_batch(&bytes);
    }

    #[test]
    fn changed_bytes_are_damage_or_records(count in 1u64..10, at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = encode_batch(&batch(0, count));
        let at = at.index(bytes.len());
        bytes[at] = with;
        let _ = decode_batch(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = decode_batch(&bytes);
    }

    #[test]
    fn a_filter_holds_what_was_added_and_hardly_more(ids in proptest::collection::hash_set(any::<u64>(), 1..500)) {
        let mut filter = Filter::with_capacity(ids.len());
        ids.iter().for_each(|id| filter.insert(key(*id)));
        prop_assert!(ids.iter().all(|id| filter.may_hold(key(*id))));
        let strangers = (0..10_000u64).filter(|id| !ids.contains(id));
        prop_assert!(strangers.filter(|id| filter.may_hold(key(*id))).count() < 500);
    }
}
