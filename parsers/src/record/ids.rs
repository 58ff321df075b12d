//! Trace and span ids: 128 and 64 bits, never zero, with the spelling that they arrived in.
//!
//! A trace id is compared by its bits; the [`Spelling`] beside it only remembers how it was written, so that an answer
//! can show (and a log search can find) the same characters again.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

use sha2::Digest;

/// Why some bytes are not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing there, or a word that loggers print for "no id" (`-`, `null`, `None`, `0`, all zeros).
    #[error("no id: empty, zero or a placeholder")]
    Absent,
    /// More digits than an id has.
    #[error("too long for an id: expected at most 32 hex digits")]
    TooLong,
    /// A character that no spelling of an id holds, or digits in the wrong places.
    #[error("not an id: expected hex digits, or one of the known spellings")]
    Malformed,
    /// A decimal id over 2^64 - 1.
    #[error("decimal id does not fit 64 bits")]
    Overflow,
}

/// How many bits an id has to say: an id whose upper half is zero is a 64-bit id, however many zeros were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Zipkin's and Jaeger's old ids, Datadog's decimal ones.
    Bits64,
    /// W3C and everything newer.
    Bits128,
}

/// The ways in which one id may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpellingKind {
    /// Lower-case hex of this many digits (1-32).
    Hex(u8),
    /// Hex of this many digits (1-32) with at least one capital.
    HexUpper(u8),
    /// Datadog's unsigned decimal.
    Decimal,
    /// AWS X-Ray, `1-8-24`.
    XRay,
    /// `8-4-4-4-12`.
    Uuid,
    /// Raw bytes of a binary protocol.
    Binary,
    /// An opaque string (Elastic APM); the bits are a hash of it and cannot be written back.
    Opaque,
}

/// A [`SpellingKind`] in one byte, as rows and the store keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Spelling(u8);

impl Spelling {
    /// Packs a kind. Digit counts outside 1-32 are clamped.
    pub fn new(kind: SpellingKind) -> Self {
        Self(match kind {
            SpellingKind::Hex(digits) => digits.clamp(1, 32),
            SpellingKind::HexUpper(digits) => 32 + digits.clamp(1, 32),
            SpellingKind::Decimal => 65,
            SpellingKind::XRay => 66,
            SpellingKind::Uuid => 67,
            SpellingKind::Binary => 68,
            SpellingKind::Opaque => 69,
        })
    }

    /// Unpacks. An unknown code (from a newer store) reads as [`SpellingKind::Binary`].
    pub fn kind(self) -> SpellingKind {
        match self.0 {
            digits @ 1..=32 => SpellingKind::Hex(digits),
            digits @ 33..=64 => SpellingKind::HexUpper(digits - 32),
            65 => SpellingKind::Decimal,
            66 => SpellingKind::XRay,
            67 => SpellingKind::Uuid,
            69 => SpellingKind::Opaque,
            _ => SpellingKind::Binary,
        }
    }

    /// The byte that [`Spelling::from_code`] reads.
    pub fn code(self) -> u8 {
        self.0
    }

    /// A spelling from its stored byte.
    pub fn from_code(code: u8) -> Self {
        Self(code)
    }
}

/// How two ids of one trace agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TraceMatch {
    /// All 128 bits.
    Exact,
    /// One of them has 64 bits only, and the low halves agree.
    Low64,
}

/// A trace id: 128 bits, not zero, and how it was spelt.
///
/// Equality and hashing look at the bits alone.
#[derive(Clone, Copy)]
pub struct TraceId {
    bits: NonZeroU128,
    spelling: Spelling,
}

impl TraceId {
    /// An id of these bits, or `None` for zero.
    pub fn new(bits: u128, spelling: Spelling) -> Option<Self> {
        NonZeroU128::new(bits).map(|bits| Self { bits, spelling })
    }

    /// From the 16 (or 8) big-endian bytes of a binary protocol.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdError> {
        let bits = match bytes.len() {
            0 => return Err(IdError::Absent),
            16 => u128::from_be_bytes(bytes.try_into().map_err(|_| IdError::Malformed)?),
            8 => u128::from(u64::from_be_bytes(bytes.try_into().map_err(|_| IdError::Malformed)?)),
            _ => return Err(IdError::Malformed),
        };
        Self::new(bits, Spelling::new(SpellingKind::Binary)).ok_or(IdError::Absent)
    }

    /// From 1-32 hex digits of either case, padded on the left.
    pub fn from_hex(digits: &[u8]) -> Result<Self, IdError> {
        let (bits, upper) = hex_bits(digits)?;
        let written = digits.len() as u8;
        let kind = if upper { SpellingKind::HexUpper(written) } else { SpellingKind::Hex(written) };
        Self::new(bits, Spelling::new(kind)).ok_or(IdError::Absent)
    }

    /// From an opaque string, such as Elastic APM allows: the first 128 bits of its SHA-256. The string itself is for the sender's
    /// record to keep.
    pub fn opaque(text: &[u8]) -> Option<Self> {
        let bits = sha2::Sha256::digest(text).first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
        Self::new(bits, Spelling::new(SpellingKind::Opaque)).filter(|_| !text.is_empty())
    }

    /// The 128 bits.
    pub fn bits(self) -> u128 {
        self.bits.get()
    }

    /// The low 64 bits, by which ids of mixed widths join.
    pub fn low64(self) -> u64 {
        self.bits.get() as u64
    }

    /// 64 bits when the upper half is zero.
    pub fn width(self) -> Width {
        if self.bits.get() >> 64 == 0 { Width::Bits64 } else { Width::Bits128 }
    }

    /// How it was written.
    pub fn spelling(self) -> Spelling {
        self.spelling
    }

    /// Whether both name one trace, and how.
    pub fn matches(self, other: Self) -> Option<TraceMatch> {
        if self.bits == other.bits {
            Some(TraceMatch::Exact)
        } else if (self.width() == Width::Bits64 || other.width() == Width::Bits64)
            && self.low64() == other.low64()
        {
            Some(TraceMatch::Low64)
        } else {
            None
        }
    }

    /// The id in the spelling that it arrived in. Binary and opaque ids give canonical hex.
    pub fn as_written(self) -> String {
        let bits = self.bits();
        match self.spelling.kind() {
            SpellingKind::Hex(digits) => format!("{bits:0width$x}", width = digits as usize),
            SpellingKind::HexUpper(digits) => format!("{bits:0width$X}", width = digits as usize),
            SpellingKind::Decimal => (bits as u64).to_string(),
            SpellingKind::XRay => format!("1-{:08x}-{:024x}", bits >> 96, bits & ((1 << 96) - 1)),
            SpellingKind::Uuid => format!(
                "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                bits >> 96,
                (bits >> 80) & 0xffff,
                (bits >> 64) & 0xffff,
                (bits >> 48) & 0xffff,
                bits & 0xffff_ffff_ffff
            ),
            SpellingKind::Binary | SpellingKind::Opaque => format!("{bits:032x}"),
        }
    }
}

/// By a byte: its value as a hex digit, with [`CAPITAL`] or [`NO_DIGIT`] above it.
static DIGITS: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value];
        table[digit as usize] = value as u8;
        if value > 9 {
            table[digit.to_ascii_uppercase() as usize] = value as u8 | CAPITAL;
        }
        value += 1;
    }
    table
};
const CAPITAL: u8 = 0x10;
const NO_DIGIT: u8 = 0x20;

/// At most 16 digits to bits, with what [`DIGITS`] says of all of them together.
fn hex_half(digits: &[u8]) -> (u64, u8) {
    let (mut bits, mut seen) = (0, 0);
    for &digit in digits {
        let value = DIGITS[digit as usize];
        seen |= value;
        bits = bits << 4 | u64::from(value & 0xf);
    }
    (bits, seen)
}

/// Hex digits to bits, and whether a capital was among them.
pub(super) fn hex_bits(digits: &[u8]) -> Result<(u128, bool), IdError> {
    if digits.is_empty() {
        return Err(IdError::Absent);
    }
    if digits.len() > 32 {
        return Err(IdError::TooLong);
    }
    let (high, low) = digits.split_at(digits.len().saturating_sub(16));
    let ((high, seen_high), (low, seen_low)) = (hex_half(high), hex_half(low));
    let seen = seen_high | seen_low;
    if seen & NO_DIGIT != 0 {
        return Err(IdError::Malformed);
    }
    Ok((u128::from(high) << 64 | u128::from(low), seen & CAPITAL != 0))
}

impl PartialEq for TraceId {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}
impl Eq for TraceId {}
impl std::hash::Hash for TraceId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}
impl fmt::Display for TraceId {
    /// Canonical: 32 lower-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(digits(self.bits.get(), &mut [0; 32]))
    }
}
impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({:032x}, {:?})", self.bits, self.spelling.kind())
    }
}

/// A span id: 64 bits, not zero, unique only within its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(NonZeroU64);

impl SpanId {
    /// An id of these bits, or `None` for zero.
    pub fn new(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    /// From the 8 big-endian bytes of a binary protocol.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdError> {
        if bytes.is_empty() {
            return Err(IdError::Absent);
        }
        let bytes: [u8; 8] = bytes.try_into().map_err(|_| IdError::Malformed)?;
        Self::new(u64::from_be_bytes(bytes)).ok_or(IdError::Absent)
    }

    /// From 1-16 hex digits of either case, padded on the left.
    pub fn from_hex(digits: &[u8]) -> Result<Self, IdError> {
        if digits.len() > 16 {
            return Err(IdError::TooLong);
        }
        Self::new(hex_bits(digits)?.0 as u64).ok_or(IdError::Absent)
    }

    /// From an opaque string: the first 64 bits of its SHA-256.
    pub fn opaque(text: &[u8]) -> Option<Self> {
        let bits = sha2::Sha256::digest(text).first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Self::new(bits).filter(|_| !text.is_empty())
    }

    /// The 64 bits.
    pub fn bits(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for SpanId {
    /// 16 lower-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(digits(u128::from(self.0.get()), &mut [0; 16]))
    }
}

/// The lower-case hex digits of the lowest bits, as many as there is room for: ids are written for nearly every line, and the
/// library's formatting takes its time.
fn digits(mut bits: u128, room: &mut [u8]) -> &str {
    for digit in room.iter_mut().rev() {
        *digit = match (bits & 0xf) as u8 {
            small @ 0..=9 => b'0' + small,
            large => b'a' + (large - 10),
        };
        bits >>= 4;
    }
    // They are ASCII.
    std::str::from_utf8(room).unwrap_or_default()
}
