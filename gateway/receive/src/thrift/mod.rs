//! Thrift's binary and compact protocols, reading only. Knows no message of anybody; each protocol folder knows its own.
//!
//! Total and bounded: nothing is allocated here, what a list or a text claims is checked against the bytes that are left, and
//! what nobody asked for is skipped to a bounded depth.

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod writer;

/// How deep structs and lists that nobody asked for may nest: far beyond any message in use.
const MAX_DEPTH: u32 = 64;

/// Where and how bytes break the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed thrift at byte {offset}: {problem}")]
pub(crate) struct ThriftError {
    /// Byte of the body.
    pub offset: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Fixed widths.
    Binary,
    /// Variable widths.
    Compact,
}

/// What a field or an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Bytes,
    Struct,
    Map,
    /// Sets too: the same bytes.
    List,
}

/// Reads one body from its beginning. Values of another kind than asked for are skipped, as thrift's own readers do.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    protocol: Protocol,
    bytes: &'a [u8],
    at: usize,
    /// The compact protocol keeps a field's truth in its header.
    truth: Option<bool>,
}

type Result<T> = std::result::Result<T, ThriftError>;

impl<'a> Reader<'a> {
    pub(crate) fn new(protocol: Protocol, bytes: &'a [u8]) -> Self {
        Self { protocol, bytes, at: 0, truth: None }
    }

    fn error<T>(&self, problem: &'static str) -> Result<T> {
        Err(ThriftError { offset: self.at, problem })
    }

    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Whether all bytes were read. What follows a message is nobody's business.
    #[cfg(test)]
    pub(crate) fn is_at_end(&self) -> bool {
        self.left() == 0
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.bytes.get(self.at..).and_then(|rest| rest.get(..len)) {
            Some(taken) => {
                self.at += len;
                Ok(taken)
            }
            None => self.error("the body ends before the value does"),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().or_else(|_| self.error("short value"))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.error("a varint over 64 bits")
    }

    fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The length of a text or the count of a list.
    fn length(&mut self) -> Result<usize> {
        let len = match self.protocol {
            Protocol::Binary => i64::from(i32::from_be_bytes(self.array()?)),
            Protocol::Compact => i64::try_from(self.varint()?).unwrap_or(-1),
        };
        // An element takes a byte at least.
        match usize::try_from(len) {
            Ok(len) if len <= self.left() => Ok(len),
            _ => self.error("a length beyond the end of the body"),
        }
    }

    fn kind(&self, code: u8) -> Result<Kind> {
        let kind = match self.protocol {
            Protocol::Binary => match code {
                2 => Kind::Bool,
                3 => Kind::Byte,
                4 => Kind::Double,
                6 => Kind::I16,
                8 => Kind::I32,
                10 => Kind::I64,
                11 => Kind::Bytes,
                12 => Kind::Struct,
                13 => Kind::Map,
                14 | 15 => Kind::List,
                _ => return self.error("an unknown type"),
            },
            Protocol::Compact => match code {
                1 | 2 => Kind::Bool,
                3 => Kind::Byte,
                4 => Kind::I16,
                5 => Kind::I32,
                6 => Kind::I64,
                7 => Kind::Double,
                8 => Kind::Bytes,
                9 | 10 => Kind::List,
                11 => Kind::Map,
                12 => Kind::Struct,
                _ => return self.error("an unknown type"),
            },
        };
        Ok(kind)
    }

    /// A field's number and kind; `last` is the number of the one before. `None` at the end of the struct.
    fn field(&mut self, last: i16) -> Result<Option<(i16, Kind)>> {
        self.truth = None;
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        if self.protocol == Protocol::Binary {
            let kind = self.kind(head)?;
            return Ok(Some((i16::from_be_bytes(self.array()?), kind)));
        }
        let code = head & 0xf;
        let kind = self.kind(code)?;
        let number = match head >> 4 {
            0 => self.zigzag()? as i16,
            delta => last.wrapping_add(i16::from(delta)),
        };
        if kind == Kind::Bool {
            self.truth = Some(code == 1);
        }
        Ok(Some((number, kind)))
    }

    /// The fields of a struct, which is the next value whatever came before it. `each` must take the field or skip it.
    pub(crate) fn fields(&mut self, mut each: impl FnMut(&mut Self, i16, Kind) -> Result<()>) -> Result<()> {
        let mut last = 0;
        while let Some((number, kind)) = self.field(last)? {
            last = number;
            each(self, number, kind)?;
        }
        Ok(())
    }

    /// A struct's fields, if that is what comes.
    pub(crate) fn structure(
        &mut self,
        kind: Kind,
        each: impl FnMut(&mut Self, i16, Kind) -> Result<()>,
    ) -> Result<()> {
        if kind == Kind::Struct { self.fields(each) } else { self.skip(kind) }
    }

    fn list_head(&mut self) -> Result<(Kind, usize)> {
        let head = self.byte()?;
        if self.protocol == Protocol::Binary {
            let kind = self.kind(head);
            let len = self.length()?;
            // Some writers give an empty list no type.
            return if len == 0 { Ok((Kind::Byte, 0)) } else { Ok((kind?, len)) };
        }
        let len = match usize::from(head >> 4) {
            15 => self.length()?,
            len if len <= self.left() => len,
            _ => return self.error("a length beyond the end of the body"),
        };
        if len == 0 { Ok((Kind::Byte, 0)) } else { Ok((self.kind(head & 0xf)?, len)) }
    }

    /// The elements of a list or set, which is the next value whatever came before it. `each` must take or skip it.
    pub(crate) fn elements(&mut self, mut each: impl FnMut(&mut Self, Kind) -> Result<()>) -> Result<()> {
        let (kind, len) = self.list_head()?;
        self.truth = None;
        (0..len).try_for_each(|_| each(self, kind))
    }

    /// The elements of a list or set, if that is what comes.
    pub(crate) fn list(&mut self, kind: Kind, each: impl FnMut(&mut Self, Kind) -> Result<()>) -> Result<()> {
        if kind == Kind::List { self.elements(each) } else { self.skip(kind) }
    }

    /// An integer of any width.
    pub(crate) fn integer(&mut self, kind: Kind) -> Result<Option<i64>> {
        let value = match (kind, self.protocol) {
            (Kind::Byte, _) => i64::from(i8::from_be_bytes(self.array()?)),
            (Kind::I16 | Kind::I32 | Kind::I64, Protocol::Compact) => self.zigzag()?,
            (Kind::I16, _) => i64::from(i16::from_be_bytes(self.array()?)),
            (Kind::I32, _) => i64::from(i32::from_be_bytes(self.array()?)),
            (Kind::I64, _) => i64::from_be_bytes(self.array()?),
            _ => return self.skip(kind).map(|()| None),
        };
        Ok(Some(value))
    }

    /// A double.
    pub(crate) fn double(&mut self, kind: Kind) -> Result<Option<f64>> {
        match (kind, self.protocol) {
            (Kind::Double, Protocol::Binary) => Ok(Some(f64::from_be_bytes(self.array()?))),
            (Kind::Double, Protocol::Compact) => Ok(Some(f64::from_le_bytes(self.array()?))),
            _ => self.skip(kind).map(|()| None),
        }
    }

    /// A truth value.
    pub(crate) fn truth(&mut self, kind: Kind) -> Result<Option<bool>> {
        match kind {
            Kind::Bool => match self.truth.take() {
                Some(truth) => Ok(Some(truth)),
                // In a list: 1 is true in both protocols, false is 0 or 2.
                None => Ok(Some(self.byte()? == 1)),
            },
            _ => self.skip(kind).map(|()| None),
        }
    }

    /// A text or raw bytes.
    pub(crate) fn bytes(&mut self, kind: Kind) -> Result<Option<&'a [u8]>> {
        match kind {
            Kind::Bytes => {
                let len = self.length()?;
                Ok(Some(self.take(len)?))
            }
            _ => self.skip(kind).map(|()| None),
        }
    }

    /// A text; what is not UTF-8 is replaced.
    pub(crate) fn text(&mut self, kind: Kind) -> Result<Option<String>> {
        Ok(self.bytes(kind)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self, kind: Kind) -> Result<()> {
        self.skip_within(kind, MAX_DEPTH)
    }

    fn skip_within(&mut self, kind: Kind, depth: u32) -> Result<()> {
        let Some(deeper) = depth.checked_sub(1) else { return self.error("nested too deep") };
        match kind {
            Kind::Bool => self.truth(kind).map(|_| ()),
            Kind::Byte | Kind::I16 | Kind::I32 | Kind::I64 => self.integer(kind).map(|_| ()),
            Kind::Double => self.double(kind).map(|_| ()),
            Kind::Bytes => self.bytes(kind).map(|_| ()),
            Kind::Struct => self.fields(|reader, _, kind| reader.skip_within(kind, deeper)),
            Kind::List => self.elements(|reader, kind| reader.skip_within(kind, deeper)),
            Kind::Map => self.skip_map(deeper),
        }
    }

    fn skip_map(&mut self, depth: u32) -> Result<()> {
        let (kinds, len) = match self.protocol {
            Protocol::Binary => {
                let codes: [u8; 2] = self.array()?;
                (codes, self.length()?)
            }
            Protocol::Compact => match self.length()? {
                0 => return Ok(()),
                len => {
                    let both = self.byte()?;
                    ([both >> 4, both & 0xf], len)
                }
            },
        };
        self.truth = None;
        for _ in 0..len {
            for code in kinds {
                let kind = self.kind(code)?;
                self.skip_within(kind, depth)?;
            }
        }
        Ok(())
    }

    /// The head of a call: the method's name. The arguments are the struct that follows.
    pub(crate) fn message(&mut self) -> Result<&'a [u8]> {
        if self.protocol == Protocol::Compact {
            let [id, version] = self.array()?;
            if id != 0x82 || version & 0x1f != 1 {
                return self.error("not a message of the compact protocol");
            }
            self.varint()?;
            let len = self.length()?;
            return self.take(len);
        }
        let head = i32::from_be_bytes(self.array()?);
        let name = if head < 0 {
            if head as u32 >> 16 != 0x8001 {
                return self.error("not a message of the binary protocol");
            }
            let len = self.length()?;
            self.take(len)?
        } else {
            // Before versions: the name comes first, and the type after it.
            let name = self.take(head as usize)?;
            self.byte()?;
            name
        };
        let _sequence: [u8; 4] = self.array()?;
        Ok(name)
    }
}
