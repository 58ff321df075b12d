//! Samples of one series in bytes: times as differences of differences, values as decimal numbers where they are such, else as
//! differences of their bits. A chunk says itself where it ends; runs of nothing take two bytes. What it is packed with lies
//! with segments.

#[cfg(test)]
mod tests;

use parsers::record::Sample;

use crate::codec::{Damaged, Input, Output};

/// Nanoseconds in a millisecond, in which most senders tell time.
const MILLI: u64 = 1_000_000;
/// Times are milliseconds.
const IN_MILLIS: u8 = 0x80;
/// How values are written.
const XOR: u8 = 0;
/// Numbers times a power of ten, as differences less their median.
const DELTAS: u8 = 1;
/// The same as differences of differences.
const SECOND: u8 = 2;
/// Decimals that are tried: counters of seconds have microseconds or nanoseconds at most.
const MAX_DECIMALS: usize = 9;
/// Integers from here on are not all doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Above this share of values that are no decimal numbers, all are written as bits: one in so many.
const ODD_SHARE: usize = 8;
/// No chunk has more: a longer count is damage.
const MAX_SAMPLES: usize = 1 << 20;

/// What stands first in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Samples.
    pub count: usize,
    /// Oldest, nanoseconds.
    pub first: u64,
    /// Newest.
    pub last: u64,
    flags: u8,
}

impl Header {
    fn unit(self) -> u64 {
        if self.flags & IN_MILLIS != 0 { MILLI } else { 1 }
    }

    fn write(times: &[u64], mode: u8, out: &mut Output) -> u64 {
        let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
        let millis = times.iter().all(|time| time.is_multiple_of(MILLI));
        let unit = if millis { MILLI } else { 1 };
        out.varint(times.len() as u64);
        out.byte(mode | if millis { IN_MILLIS } else { 0 });
        out.varint(first / unit);
        out.varint((last - first) / unit);
        unit
    }

    /// Reads it; what follows is read by [`samples`] or [`histograms`].
    pub fn read(input: &mut Input<'_>) -> Result<Self, Damaged> {
        let count = input.varint()? as usize;
        if count == 0 || count > MAX_SAMPLES {
            return Err(Damaged);
        }
        let flags = input.byte()?;
        let header = Self { count, first: 0, last: 0, flags };
        let first = input.varint()?.checked_mul(header.unit()).ok_or(Damaged)?;
        let span = input.varint()?.checked_mul(header.unit()).ok_or(Damaged)?;
        Ok(Self { first, last: first.checked_add(span).ok_or(Damaged)?, ..header })
    }
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn unzigzag(z: u64) -> i64 {
    ((z >> 1) ^ (z & 1).wrapping_neg()) as i64
}

/// Writes small numbers; a run of zeros is a zero and its length less one.
struct Runs<'a> {
    out: &'a mut Output,
    zeros: u64,
}

impl<'a> Runs<'a> {
    fn new(out: &'a mut Output) -> Self {
        Self { out, zeros: 0 }
    }

    /// Writes what is pending, if it is.
    fn flush(&mut self) {
        if self.zeros > 0 {
            self.out.byte(0);
            self.out.varint(self.zeros - 1);
            self.zeros = 0;
        }
    }

    fn push(&mut self, number: i64) {
        if number == 0 {
            self.zeros += 1;
        } else {
            self.flush();
            self.out.varint(zigzag(number));
        }
    }
}

/// Reads what [`Runs`] wrote.
struct Unrun<'a, 'b> {
    input: &'a mut Input<'b>,
    zeros: u64,
}

impl Unrun<'_, '_> {
    fn next(&mut self) -> Result<i64, Damaged> {
        if self.zeros > 0 {
            self.zeros -= 1;
            return Ok(0);
        }
        let z = self.input.varint()?;
        if z == 0 {
            self.zeros = self.input.varint()?;
        }
        Ok(unzigzag(z))
    }

    /// Nothing is left over.
    fn end(&self) -> Result<(), Damaged> {
        if self.zeros == 0 { Ok(()) } else { Err(Damaged) }
    }
}

fn write_times(times: &[u64], unit: u64, out: &mut Output) {
    let mut runs = Runs::new(out);
    let (mut last, mut step) = (times.first().copied().unwrap_or(0) / unit, 0i64);
    for time in times.iter().skip(1) {
        let time = time / unit;
        let now = time.wrapping_sub(last) as i64;
        runs.push(now.wrapping_sub(step));
        (last, step) = (time, now);
    }
    runs.flush();
}

fn read_times(header: Header, input: &mut Input<'_>, mut each: impl FnMut(u64)) -> Result<(), Damaged> {
    let unit = header.unit();
    let mut runs = Unrun { input, zeros: 0 };
    let (mut last, mut step) = (header.first / unit, 0i64);
    each(header.first);
    for _ in 1..header.count {
        step = step.wrapping_add(runs.next()?);
        last = last.wrapping_add(step as u64);
        each(last.checked_mul(unit).ok_or(Damaged)?);
    }
    runs.end()
}

/// A value times a power of ten, if it is a whole number and the value comes back from it to the bit.
fn scaled(value: f64, decimals: usize) -> Option<i64> {
    let scale = POWERS.get(decimals).copied()?;
    let number = (value * scale).round();
    if number.is_nan() || number.abs() >= EXACT {
        return None;
    }
    // By way of the integer, which has no negative zero.
    let number = number as i64;
    (number as f64 / scale).to_bits().eq(&value.to_bits()).then_some(number)
}

const POWERS: [f64; MAX_DECIMALS + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Whole numbers that stand for the values at so many decimals, and the values that none stands for.
struct Decimal {
    decimals: usize,
    numbers: Vec<i64>,
    odd: Vec<(usize, u64)>,
}

impl Decimal {
    /// With as many decimals as they need; `None` if too many are no such numbers.
    fn of(samples: &[Sample]) -> Option<Self> {
        let most = 1 + samples.len() / ODD_SHARE;
        let mut decimals = 0;
        let mut failed = 0;
        for sample in samples {
            match (decimals..=MAX_DECIMALS).find(|d| scaled(sample.value, *d).is_some()) {
                Some(needed) => decimals = needed,
                None => failed += 1,
            }
            if failed > most {
                return None;
            }
        }
        let mut numbers = Vec::with_capacity(samples.len());
        let mut odd = Vec::new();
        let mut last = 0;
        for (at, sample) in samples.iter().enumerate() {
            // A value that fits fewer decimals may be too large for these.
            match scaled(sample.value, decimals) {
                Some(number) => last = number,
                None => odd.push((at, sample.value.to_bits())),
            }
            numbers.push(last);
        }
        (odd.len() <= most).then_some(Self { decimals, numbers, odd })
    }
}

fn median(numbers: &[i64]) -> i64 {
    let mut deltas: Vec<i64> = numbers.iter().zip(numbers.iter().skip(1)).map(|(a, b)| b - a).collect();
    let middle = deltas.len() / 2;
    if deltas.is_empty() { 0 } else { *deltas.select_nth_unstable(middle).1 }
}

fn write_decimal(decimal: &Decimal, second: bool, out: &mut Output) {
    out.byte(decimal.decimals as u8);
    out.varint(decimal.odd.len() as u64);
    for (at, bits) in &decimal.odd {
        out.varint(*at as u64);
        out.fixed64(*bits);
    }
    let first = decimal.numbers.first().copied().unwrap_or(0);
    out.varint(zigzag(first));
    let mut step = if second { 0 } else { median(&decimal.numbers) };
    if !second {
        out.varint(zigzag(step));
    }
    let mut runs = Runs::new(out);
    let mut last = first;
    for number in decimal.numbers.iter().skip(1) {
        let now = number - last;
        runs.push(now - step);
        if second {
            step = now;
        }
        last = *number;
    }
    runs.flush();
}

fn write_bits(samples: &[Sample], out: &mut Output) {
    let mut last = 0;
    let mut same = 0u64;
    let flush = |same: &mut u64, out: &mut Output| {
        if *same > 0 {
            out.byte(0);
            out.varint(*same - 1);
            *same = 0;
        }
    };
    for sample in samples {
        let bits = sample.value.to_bits();
        let differs = bits ^ last;
        last = bits;
        if differs == 0 {
            same += 1;
            continue;
        }
        flush(&mut same, out);
        // Which bytes differ, as where they begin and how many, then these.
        let from = differs.leading_zeros() as usize / 8;
        let to = 8 - differs.trailing_zeros() as usize / 8;
        out.byte((from << 4 | (to - from)) as u8);
        out.raw(differs.to_be_bytes().get(from..to).unwrap_or_default());
    }
    flush(&mut same, out);
}

/// Appends a chunk of samples, which are in order of time.
pub fn encode(samples: &[Sample], out: &mut Output) {
    let times: Vec<u64> = samples.iter().map(|sample| sample.time).collect();
    let Some(decimal) = Decimal::of(samples) else {
        let unit = Header::write(&times, XOR, out);
        write_times(&times, unit, out);
        return write_bits(samples, out);
    };
    let (mut deltas, mut second) = (Output::default(), Output::default());
    write_decimal(&decimal, false, &mut deltas);
    write_decimal(&decimal, true, &mut second);
    let (mode, values) =
        if second.as_bytes().len() < deltas.as_bytes().len() { (SECOND, second) } else { (DELTAS, deltas) };
    let unit = Header::write(&times, mode, out);
    write_times(&times, unit, out);
    out.raw(values.as_bytes());
}

/// Appends the samples of a chunk whose header was read.
pub fn samples(header: Header, input: &mut Input<'_>, into: &mut Vec<Sample>) -> Result<(), Damaged> {
    let from = into.len();
    read_times(header, input, |time| into.push(Sample { time, value: 0.0 }))?;
    let new = into.get_mut(from..).ok_or(Damaged)?;
    match header.flags & !IN_MILLIS {
        XOR => read_bits(input, new),
        DELTAS => read_decimal(input, false, new),
        SECOND => read_decimal(input, true, new),
        _ => Err(Damaged),
    }
}

fn read_bits(input: &mut Input<'_>, samples: &mut [Sample]) -> Result<(), Damaged> {
    let (mut bits, mut same) = (0u64, 0u64);
    for sample in samples {
        if same > 0 {
            same -= 1;
        } else {
            let code = input.byte()?;
            if code == 0 {
                same = input.varint()?;
            } else {
                let (from, count) = (usize::from(code >> 4), usize::from(code & 15));
                let mut bytes = [0u8; 8];
                let place = bytes.get_mut(from..from + count).ok_or(Damaged)?;
                place.copy_from_slice(input.raw(count)?);
                bits ^= u64::from_be_bytes(bytes);
            }
        }
        sample.value = f64::from_bits(bits);
    }
    if same == 0 { Ok(()) } else { Err(Damaged) }
}

fn read_decimal(input: &mut Input<'_>, second: bool, samples: &mut [Sample]) -> Result<(), Damaged> {
    let scale = POWERS.get(usize::from(input.byte()?)).copied().ok_or(Damaged)?;
    let mut odd = Vec::new();
    for _ in 0..input.count()? {
        odd.push((input.varint()? as usize, input.fixed64()?));
    }
    let mut number = unzigzag(input.varint()?);
    let mut step = if second { 0 } else { unzigzag(input.varint()?) };
    let mut runs = Unrun { input, zeros: 0 };
    for (at, sample) in samples.iter_mut().enumerate() {
        if at > 0 {
            let differs = runs.next()?;
            if second {
                step = step.wrapping_add(differs);
                number = number.wrapping_add(step);
            } else {
                number = number.wrapping_add(step).wrapping_add(differs);
            }
        }
        sample.value = number as f64 / scale;
    }
    runs.end()?;
    for (at, bits) in odd {
        samples.get_mut(at).ok_or(Damaged)?.value = f64::from_bits(bits);
    }
    Ok(())
}

/// Appends a chunk of histograms with their times in order, each as its sender's bytes.
pub fn encode_histograms<'a>(times: &[u64], bodies: impl Iterator<Item = &'a [u8]>, out: &mut Output) {
    let unit = Header::write(times, XOR, out);
    write_times(times, unit, out);
    bodies.for_each(|body| out.bytes(body));
}

/// Gives the histograms of a chunk whose header was read.
pub fn histograms<'a>(
    header: Header,
    input: &mut Input<'a>,
    mut each: impl FnMut(u64, &'a [u8]),
) -> Result<(), Damaged> {
    let mut times = Vec::new();
    read_times(header, input, |time| times.push(time))?;
    for time in times {
        each(time, input.bytes()?);
    }
    Ok(())
}
