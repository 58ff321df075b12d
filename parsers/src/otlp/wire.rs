//! Protobuf's wire format: fields out of bytes and into them. Knows no message.

use crate::record::ByteRange;

/// Where and how a message breaks the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf at byte {offset}: {problem}")]
pub struct WalkError {
    /// Byte of the outermost buffer.
    pub offset: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

/// The value of one field, by wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// int32, int64, uint32, uint64, bool, enum.
    Varint(u64),
    /// fixed64, sfixed64, double.
    Fixed64(u64),
    /// fixed32, sfixed32, float.
    Fixed32(u32),
    /// string, bytes, message, packed list.
    Bytes(&'a [u8]),
}

/// Reads the fields of one message in the order of the wire. Groups, which OTLP never had, are skipped.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    buffer: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    /// Over a whole message.
    pub fn new(message: &'a [u8]) -> Self {
        Self { buffer: message, at: 0, end: message.len() }
    }

    /// Over a message within a buffer; [`Reader::range`] then counts in that buffer.
    pub fn within(buffer: &'a [u8], range: ByteRange) -> Self {
        let end = (range.end as usize).min(buffer.len());
        Self { buffer, at: (range.start as usize).min(end), end }
    }

    /// Where the bytes that [`Reader::read`] returned last lie in the buffer.
    pub fn range(&self, bytes: &[u8]) -> ByteRange {
        ByteRange { start: (self.at - bytes.len().min(self.at)) as u32, end: self.at as u32 }
    }

    fn error(&self, problem: &'static str) -> WalkError {
        WalkError { offset: self.at, problem }
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], WalkError> {
        let rest = self.buffer.get(self.at..self.end).unwrap_or_default();
        let taken = usize::try_from(len).ok().and_then(|len| rest.get(..len));
        let taken = taken.ok_or_else(|| self.error("the message ends before the field does"))?;
        self.at += taken.len();
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, WalkError> {
        let rest = self.buffer.get(self.at..self.end).unwrap_or_default();
        if let Some(&first) = rest.first()
            && first < 0x80
        {
            self.at += 1;
            return Ok(u64::from(first));
        }
        let mut value = 0u64;
        for (i, &byte) in rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                if i == 9 && byte > 1 {
                    return Err(self.error("a varint over 64 bits"));
                }
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(self.error(if rest.len() >= 10 {
            "a varint over 64 bits"
        } else {
            "the message ends in a varint"
        }))
    }

    fn fixed64(&mut self) -> Result<u64, WalkError> {
        let bytes = self.take(8)?;
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| self.error("short fixed64"))
    }

    fn fixed32(&mut self) -> Result<u32, WalkError> {
        let bytes = self.take(4)?;
        bytes.try_into().map(u32::from_le_bytes).map_err(|_| self.error("short fixed32"))
    }

    /// The next field's number and value; `None` at the end.
    #[inline]
    pub fn read(&mut self) -> Result<Option<(u32, Field<'a>)>, WalkError> {
        // Most are bytes, fewer than 128, of a field below 16: key and length have a byte each.
        if let Some([key @ 8..0x80, len @ ..0x80, rest @ ..]) = self.buffer.get(self.at..self.end)
            && key & 7 == 2
            && let Some(bytes) = rest.get(..usize::from(*len))
        {
            self.at += 2 + bytes.len();
            return Ok(Some((u32::from(key >> 3), Field::Bytes(bytes))));
        }
        self.read_any()
    }

    fn read_any(&mut self) -> Result<Option<(u32, Field<'a>)>, WalkError> {
        let mut groups = 0u32;
        while self.at < self.end {
            let key = self.varint()?;
            let number = u32::try_from(key >> 3).unwrap_or(0);
            if number == 0 || number > (1 << 29) - 1 {
                return Err(self.error("a field number outside 1 to 2^29 - 1"));
            }
            let field = match key & 7 {
                0 => Field::Varint(self.varint()?),
                1 => Field::Fixed64(self.fixed64()?),
                2 => {
                    let len = self.varint()?;
                    Field::Bytes(self.take(len)?)
                }
                3 => {
                    groups += 1;
                    continue;
                }
                4 => {
                    groups =
                        groups.checked_sub(1).ok_or_else(|| self.error("a group ends that never began"))?;
                    continue;
                }
                5 => Field::Fixed32(self.fixed32()?),
                _ => return Err(self.error("an unknown wire type")),
            };
            if groups == 0 {
                return Ok(Some((number, field)));
            }
        }
        if groups > 0 {
            return Err(self.error("the message ends within a group"));
        }
        Ok(None)
    }
}

/// Appends fields to a buffer. As in proto3, a value that equals the default is not written; the `always_` forms are for
/// members of a `oneof`, `optional` fields and list items, where presence counts.
#[derive(Debug)]
pub struct Writer<'a>(&'a mut Vec<u8>);

impl<'a> Writer<'a> {
    /// At the end of this buffer.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self(out)
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, number: u32, wire: u64) {
        self.raw_varint(u64::from(number) << 3 | wire);
    }

    /// int32, int64 (as their 64-bit two's complement), uint32, uint64, bool, enum.
    pub fn varint(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.always_varint(number, value);
        }
    }

    /// As [`Writer::varint`], 0 too.
    pub fn always_varint(&mut self, number: u32, value: u64) {
        self.key(number, 0);
        self.raw_varint(value);
    }

    /// fixed64, sfixed64.
    pub fn fixed64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.always_fixed64(number, value);
        }
    }

    /// As [`Writer::fixed64`], 0 too.
    pub fn always_fixed64(&mut self, number: u32, value: u64) {
        self.key(number, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// double, 0 too: OTLP has doubles only where presence counts.
    pub fn always_double(&mut self, number: u32, value: f64) {
        self.always_fixed64(number, value.to_bits());
    }

    /// fixed32.
    pub fn fixed32(&mut self, number: u32, value: u32) {
        if value != 0 {
            self.key(number, 5);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// string, bytes.
    pub fn bytes(&mut self, number: u32, value: &[u8]) {
        if !value.is_empty() {
            self.always_bytes(number, value);
        }
    }

    /// As [`Writer::bytes`], the empty ones too; also a message that is encoded already.
    pub fn always_bytes(&mut self, number: u32, value: &[u8]) {
        self.key(number, 2);
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A nested message, also when it turns out empty. What the closure appends becomes its content.
    pub fn message<T>(&mut self, number: u32, content: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.key(number, 2);
        let start = self.0.len();
        self.0.push(0);
        let result = content(self.0);
        // One byte was kept for the length; a longer one moves the content up.
        let end = self.0.len();
        let Some(length) = end.checked_sub(start + 1) else { return result };
        if let (Ok(length @ 0..0x80), Some(kept)) = (u8::try_from(length), self.0.get_mut(start)) {
            *kept = length;
            return result;
        }
        let mut prefix = [0; MAX_VARINT];
        let used = varint(length as u64, &mut prefix);
        self.0.extend_from_slice(prefix.get(..used.saturating_sub(1)).unwrap_or_default());
        self.0.copy_within(start + 1..end, start + used);
        let kept = self.0.get_mut(start..start + used).unwrap_or_default();
        kept.iter_mut().zip(prefix).for_each(|(kept, byte)| *kept = byte);
        result
    }
}

/// Bytes that a varint has at most.
const MAX_VARINT: usize = 10;

/// Seven bits a byte, the lowest first. Gives how many bytes there are.
fn varint(mut value: u64, out: &mut [u8; MAX_VARINT]) -> usize {
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = value as u8 | 0x80;
        value >>= 7;
        if value == 0 {
            *byte &= 0x7f;
            return at + 1;
        }
    }
    MAX_VARINT
}
