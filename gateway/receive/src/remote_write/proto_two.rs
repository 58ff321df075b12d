//! `io.prometheus.write.v2.Request`, version 2.0: every text is written once, and named by its place.

use parsers::otlp::{Field, MAX_RECORDS, Reader, WalkError};

use super::written::{MAX_LABELS, Parts, TOO_MANY_LABELS, Written};

/// Reads a request. A series or a part of one whose message is broken is left out alone.
pub(super) fn read(body: &[u8], into: &mut Written) -> Result<(), WalkError> {
    let mut symbols = Vec::new();
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.read()? {
        if let (4, Field::Bytes(text)) = (number, field)
            && symbols.len() < MAX_RECORDS
        {
            symbols.push(text);
        }
    }
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.read()? {
        if let (5, Field::Bytes(message)) = (number, field)
            && let Err(reason) = series(message, &symbols, into)
        {
            into.reject(reason, 0);
        }
    }
    Ok(())
}

const UNREADABLE: &str = "a series that cannot be read";

/// Numbers of a list, packed or not.
fn numbers(field: Field<'_>, into: &mut Vec<u64>) -> Result<(), &'static str> {
    match field {
        Field::Varint(number) => into.push(number),
        Field::Bytes(mut packed) => {
            while let Some(end) = packed.iter().take(10).position(|byte| byte & 0x80 == 0) {
                let (number, rest) = packed.split_at(end + 1);
                into.push(number.iter().rev().fold(0, |all, byte| all << 7 | u64::from(byte & 0x7f)));
                packed = rest;
                if into.len() > 2 * MAX_LABELS {
                    return Err(TOO_MANY_LABELS);
                }
            }
            if !packed.is_empty() {
                return Err(UNREADABLE);
            }
        }
        _ => return Err(UNREADABLE),
    }
    if into.len() > 2 * MAX_LABELS { Err(TOO_MANY_LABELS) } else { Ok(()) }
}

type Labels<'a> = Vec<(&'a [u8], &'a [u8])>;

fn labels<'a>(refs: &[u64], symbols: &[&'a [u8]]) -> Result<Labels<'a>, &'static str> {
    if !refs.len().is_multiple_of(2) {
        return Err("an odd number of label references");
    }
    let text = |place: &u64| {
        let text = usize::try_from(*place).ok().and_then(|place| symbols.get(place));
        text.copied().ok_or("a label reference outside the symbols")
    };
    refs.chunks_exact(2)
        .map(|pair| match pair {
            [name, value] => Ok((text(name)?, text(value)?)),
            _ => Err(UNREADABLE),
        })
        .collect()
}

fn series(message: &[u8], symbols: &[&[u8]], into: &mut Written) -> Result<(), &'static str> {
    let (mut refs, mut parts, mut exemplars, mut described) =
        (Vec::new(), Parts::default(), Vec::new(), None);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read().map_err(|_| UNREADABLE)? {
        match (number, field) {
            (1, field) => numbers(field, &mut refs)?,
            (2, Field::Bytes(bytes)) => parts.samples.push(bytes),
            (3, Field::Bytes(bytes)) => parts.histograms.push(bytes),
            (4, Field::Bytes(bytes)) => exemplars.push(bytes),
            (5, Field::Bytes(bytes)) => described = Some(bytes),
            // 6 was the time of creation before 2.0 was final; samples say it themselves since.
            _ => {}
        }
    }
    let all = parts.samples.len() + parts.histograms.len();
    let labels = match labels(&refs, symbols) {
        Ok(labels) => labels,
        Err(reason) => {
            into.reject(reason, all);
            return Ok(());
        }
    };
    // Prometheus itself sends exemplars in series of their own.
    if all == 0 && exemplars.is_empty() {
        return Err("a series without samples and histograms");
    }
    let Some(index) = into.series(&labels, &parts) else { return Ok(()) };
    for bytes in exemplars {
        // Never an error for an exemplar.
        let _ = exemplar(bytes, index, symbols, into);
    }
    if let Some(bytes) = described
        && let Some((_, name)) = labels.iter().find(|(name, _)| *name == b"__name__")
    {
        // It only describes.
        let _ = metadata(bytes, &String::from_utf8_lossy(name), symbols, into);
    }
    Ok(())
}

fn exemplar(message: &[u8], series: u32, symbols: &[&[u8]], into: &mut Written) -> Result<(), &'static str> {
    let (mut refs, mut value, mut time) = (Vec::new(), 0.0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read().map_err(|_| UNREADABLE)? {
        match (number, field) {
            (1, field) => numbers(field, &mut refs)?,
            (2, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (3, Field::Varint(millis)) => time = millis,
            _ => {}
        }
    }
    into.exemplar(series, &labels(&refs, symbols)?, value, time);
    Ok(())
}

/// The series' metric is described; the family is its name without what a kind appends.
fn metadata(message: &[u8], name: &str, symbols: &[&[u8]], into: &mut Written) -> Result<(), WalkError> {
    let (mut code, mut help, mut unit) = (0, 0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Varint(kind)) => code = kind,
            (3, Field::Varint(place)) => help = place,
            (4, Field::Varint(place)) => unit = place,
            _ => {}
        }
    }
    let suffixes: &[&str] = match code {
        1 => &["_total"],
        3 | 4 => &["_bucket", "_count", "_sum"],
        5 => &["_count", "_sum"],
        _ => &[],
    };
    let family = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    let text = |place: u64| {
        let text = usize::try_from(place).ok().and_then(|place| symbols.get(place));
        text.map(|text| String::from_utf8_lossy(text)).unwrap_or_default()
    };
    into.family(family, code, &text(help), &text(unit));
    Ok(())
}
