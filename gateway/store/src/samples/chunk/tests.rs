use proptest::prelude::*;

use super::*;

const STALE: u64 = 0x7ff0_0000_0000_0002;

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (0u32..100_000).prop_map(f64::from),
        4 => (0u32..100_000).prop_map(|n| f64::from(n) / 1000.0),
        2 => any::<f64>(),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => prop_oneof![
            Just(f64::from_bits(STALE)),
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(-0.0),
            Just(f64::MIN_POSITIVE),
            Just(9_007_199_254_740_993.0),
        ],
    ]
}

prop_compose! {
    fn series()(first in prop_oneof![Just(0u64), any::<u64>()], unit in prop_oneof![Just(1u64), Just(MILLI), Just(15_000 * MILLI)],
        steps in proptest::collection::vec((0u64..30, value(), 0u64..3), 1..300)) -> Vec<Sample>
    {
        let mut time = first / MILLI * MILLI / 2;
        let mut samples: Vec<Sample> = Vec::new();
        for (step, value, jitter) in steps {
            time += 1 + step * unit + jitter;
            samples.push(Sample { time, value });
        }
        samples
    }
}

fn encoded(samples: &[Sample]) -> Vec<u8> {
    let mut out = Output::default();
    encode(samples, &mut out);
    out.into_bytes()
}

fn decoded(bytes: &[u8]) -> Result<Vec<Sample>, Damaged> {
    let mut input = Input::new(bytes);
    let header = Header::read(&mut input)?;
    let mut found = Vec::new();
    samples(header, &mut input, &mut found)?;
    if input.left() == 0 { Ok(found) } else { Err(Damaged) }
}

fn bits(samples: &[Sample]) -> Vec<(u64, u64)> {
    samples.iter().map(|s| (s.time, s.value.to_bits())).collect()
}

#[test]
fn what_is_no_whole_number_comes_back_among_those_that_are() {
    let odd =
        [-0.0, f64::from_bits(STALE), f64::NAN, f64::INFINITY, 1e300, 0.1 + 0.2, 9_007_199_254_740_993.0];
    for value in odd {
        let at = |n: u64| Sample { time: 15_000 * MILLI * n, value: if n == 9 { value } else { n as f64 } };
        let samples: Vec<Sample> = (0..20).map(at).collect();
        assert_eq!(bits(&decoded(&encoded(&samples)).unwrap()), bits(&samples));
    }
}

proptest! {
    #[test]
    fn any_samples_come_back_to_the_bit(samples in series()) {
        let bytes = encoded(&samples);
        prop_assert_eq!(bits(&decoded(&bytes).unwrap()), bits(&samples));
        let header = Header::read(&mut Input::new(&bytes)).unwrap();
        prop_assert_eq!((header.first, header.last), (samples[0].time, samples[samples.len() - 1].time));
    }

    #[test]
    fn any_bytes_are_samples_or_damage(bytes: Vec<u8>) {
        let _ = decoded(&bytes);
        let mut input = Input::new(&bytes);
        if let Ok(header) = Header::read(&mut input) {
            let _ = histograms(header, &mut input, |_, _| ());
        }
    }

    #[test]
    fn a_chunk_with_a_byte_changed_is_samples_or_damage(samples in series(), at: prop::sample::Index, byte: u8) {
        let mut bytes = encoded(&samples);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decoded(&bytes);
    }

    #[test]
    fn histograms_come_back(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..20)) {
        let times: Vec<u64> = (0..bodies.len() as u64).map(|n| n * n * 1_000_003).collect();
        let mut out = Output::default();
        encode_histograms(&times, bodies.iter().map(Vec::as_slice), &mut out);
        let mut input = Input::new(out.as_bytes());
        let header = Header::read(&mut input).unwrap();
        let mut found = Vec::new();
        histograms(header, &mut input, |time, body| found.push((time, body.to_vec()))).unwrap();
        prop_assert_eq!(found, times.into_iter().zip(bodies).collect::<Vec<_>>());
        prop_assert_eq!(input.left(), 0);
    }
}

/// Bytes a sample of a series with these values, one every 15 seconds.
fn cost(values: impl Iterator<Item = f64>) -> f64 {
    let at =
        |(n, value): (usize, f64)| Sample { time: (1_700_000_000_137 + n as u64 * 15_000) * MILLI, value };
    let samples: Vec<Sample> = values.enumerate().map(at).collect();
    encoded(&samples).len() as f64 / samples.len() as f64
}

#[test]
fn what_is_typical_takes_little() {
    let noise = |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 20;
    let mut sum = 0;
    let counter: Vec<f64> = (0..240)
        .map(|n| {
            sum += 140 + noise(n);
            sum as f64
        })
        .collect();
    assert!(cost(counter.iter().copied()) < 1.2);
    assert!(cost(counter.iter().map(|n| n / 100.0)) < 1.2);
    assert!(cost((0..240).map(|_| 17.5)) < 0.15);
    // A target that went away costs nothing of the others.
    let ends = counter.iter().enumerate().map(|(n, v)| if n == 239 { f64::from_bits(STALE) } else { *v });
    assert!(cost(ends) < 1.3);
    assert!(cost((0..240).map(|n| (n as f64).sqrt())) < 8.5);
}
