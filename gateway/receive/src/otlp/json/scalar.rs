//! One JSON scalar as one protobuf field.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use parsers::otlp::Writer;

use super::schema::{FieldOf, Kind};

/// A JSON scalar.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    Truth(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Scalar<'_> {
    fn integer(self) -> Option<i128> {
        match self {
            Self::Unsigned(n) => Some(i128::from(n)),
            Self::Signed(n) => Some(i128::from(n)),
            Self::Float(n) if n.fract() == 0.0 && n.abs() < 9.3e18 => Some(n as i128),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn unsigned(self) -> Option<u64> {
        u64::try_from(self.integer()?).ok()
    }

    fn signed(self) -> Option<i64> {
        i64::try_from(self.integer()?).ok()
    }

    /// Either, in the 64 bits of a varint.
    fn varint(self) -> Option<u64> {
        self.signed().map(|value| value as u64).or_else(|| self.unsigned())
    }

    fn double(self) -> Option<f64> {
        match self {
            Self::Unsigned(n) => Some(n as f64),
            Self::Signed(n) => Some(n as f64),
            Self::Float(n) => Some(n),
            Self::Text(text) => text.parse().ok(),
            Self::Truth(_) => None,
        }
    }
}

/// Writes a field; `None` if the scalar is not what the field holds.
pub(super) fn write(field: &FieldOf, scalar: Scalar<'_>, out: &mut Vec<u8>) -> Option<()> {
    let mut w = Writer::new(out);
    let (number, present) = (field.number, field.present);
    match field.kind {
        Kind::Message(_) => return None,
        Kind::Str => match scalar {
            Scalar::Text(text) if present => w.always_bytes(number, text.as_bytes()),
            Scalar::Text(text) => w.bytes(number, text.as_bytes()),
            _ => return None,
        },
        Kind::Bytes => match scalar {
            Scalar::Text(text) => w.always_bytes(number, &base64_of(text)?),
            _ => return None,
        },
        Kind::Id => match scalar {
            Scalar::Text(text) => w.bytes(number, &id_of(text)),
            _ => return None,
        },
        Kind::Bool => match scalar {
            Scalar::Truth(truth) if present => w.always_varint(number, u64::from(truth)),
            Scalar::Truth(truth) => w.varint(number, u64::from(truth)),
            _ => return None,
        },
        Kind::Double => w.always_double(number, scalar.double()?),
        Kind::Fixed32 => w.fixed32(number, u32::try_from(scalar.unsigned()?).ok()?),
        Kind::Fixed64 if present => w.always_fixed64(number, scalar.unsigned()?),
        Kind::Fixed64 => w.fixed64(number, scalar.unsigned()?),
        Kind::SFixed64 => w.always_fixed64(number, scalar.signed()? as u64),
        Kind::Varint if present => w.always_varint(number, scalar.varint()?),
        Kind::Varint => w.varint(number, scalar.varint()?),
        Kind::ZigZag => {
            let value = scalar.signed()?;
            w.varint(number, ((value << 1) ^ (value >> 63)) as u64);
        }
        Kind::Enum(names) => {
            let code = match scalar {
                Scalar::Text(text) => names.iter().position(|name| *name == text).map(|at| at as u64),
                _ => None,
            };
            w.varint(number, code.or_else(|| scalar.unsigned())?);
        }
    }
    Some(())
}

/// Hex to bytes. What is not hex gives one byte, a length that no id has, so that the walk says what becomes of the record.
fn id_of(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>().unwrap_or_else(|| vec![0xff])
}

fn base64_of(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}
