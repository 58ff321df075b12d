use proptest::prelude::*;

use super::*;

#[test]
fn a_histogram_is_read_back_as_it_was_written() {
    for float in [false, true] {
        let written = NativeHistogram {
            schema: -1,
            count: 12.0,
            sum: 18.5,
            zero_threshold: 0.001,
            zero_count: 2.0,
            positive: vec![(-3, 1.0), (-2, 4.0), (7, 2.0)],
            negative: vec![(0, 3.0)],
            custom_bounds: vec![0.5, 1.0],
            float,
            reset_hint: 2,
        };
        let mut bytes = Vec::new();
        written.encode(&mut bytes);
        assert_eq!(NativeHistogram::decode(&bytes), Ok(Some(written)));
    }
}

#[test]
fn spans_that_claim_more_than_there_is_are_refused() {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(11, |out| Writer::new(out).varint(2, u64::from(u32::MAX)));
    assert_eq!(NativeHistogram::decode(&bytes), Ok(None));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let _ = NativeHistogram::decode(&bytes);
    }
}
