//! Numbers, strings and label sets in bytes.

use std::sync::Arc;

use parsers::record::Labels;

/// Bytes that were not written by the encoder, or not all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged record")]
pub struct Damaged;

/// The highest bit of each byte of a word.
const HIGHEST: u64 = 0x8080_8080_8080_8080;

/// Where encoders write.
#[derive(Debug, Default)]
pub struct Output(Vec<u8>);

impl Output {
    /// With room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Bytes written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// LEB128.
    pub fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    /// The difference of two numbers, wrapping, small in either direction.
    pub fn delta(&mut self, from: u64, to: u64) {
        let d = to.wrapping_sub(from) as i64;
        self.varint(((d << 1) ^ (d >> 63)) as u64);
    }

    /// 8 bytes, little endian.
    pub fn fixed64(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }

    /// 16 bytes, big endian, as ids are written everywhere.
    pub fn fixed128(&mut self, n: u128) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }

    /// Bytes without their length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Length, then bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    /// A label set.
    pub fn labels(&mut self, labels: &Labels) {
        self.varint(labels.len() as u64);
        for (name, value) in labels.iter() {
            self.bytes(name.as_bytes());
            self.bytes(value.as_bytes());
        }
    }
}

/// Where decoders read.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Over these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Bytes left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Damaged> {
        let (&byte, rest) = self.0.split_first().ok_or(Damaged)?;
        self.0 = rest;
        Ok(byte)
    }

    /// LEB128.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Damaged> {
        match self.0 {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Damaged> {
        if let Some(word) = self.0.first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            // The highest bit of a number's last byte, and of no byte before it, is 0.
            let last = !word & HIGHEST;
            if last != 0 {
                let bits = last.trailing_zeros();
                let n = word & (u64::MAX >> (63 - bits)) & !HIGHEST;
                // Groups of 7 bits move together: by twos, by fours, by eights.
                let n = n & 0x007f_007f_007f_007f | (n & 0x7f00_7f00_7f00_7f00) >> 1;
                let n = n & 0x0000_3fff_0000_3fff | (n & 0x3fff_0000_3fff_0000) >> 2;
                let n = n & 0x0000_0000_0fff_ffff | (n & 0x0fff_ffff_0000_0000) >> 4;
                self.raw(bits as usize / 8 + 1)?;
                return Ok(n);
            }
        }
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Damaged)
    }

    /// Passes over so many [`Input::varint`]s.
    pub fn skip_varints(&mut self, mut count: usize) -> Result<(), Damaged> {
        while count >= 8
            && let Some((word, rest)) = self.0.split_first_chunk::<8>()
        {
            count -= (!u64::from_le_bytes(*word) & HIGHEST).count_ones() as usize;
            self.0 = rest;
        }
        // The word may have ended within a number, which goes on here.
        while count > 0 {
            count -= usize::from(self.byte()? & 0x80 == 0);
        }
        Ok(())
    }

    /// A 32-bit number.
    pub fn varint32(&mut self) -> Result<u32, Damaged> {
        u32::try_from(self.varint()?).map_err(|_| Damaged)
    }

    /// How many items follow; each takes at least one byte, so more than there are bytes is damage.
    pub fn count(&mut self) -> Result<usize, Damaged> {
        let n = self.varint()? as usize;
        if n > self.left() { Err(Damaged) } else { Ok(n) }
    }

    /// What [`Output::delta`] wrote.
    pub fn delta(&mut self, from: u64) -> Result<u64, Damaged> {
        let z = self.varint()?;
        Ok(from.wrapping_add((z >> 1) ^ (z & 1).wrapping_neg()))
    }

    /// 8 bytes.
    pub fn fixed64(&mut self) -> Result<u64, Damaged> {
        let bytes = self.raw(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| Damaged)?))
    }

    /// 16 bytes.
    pub fn fixed128(&mut self) -> Result<u128, Damaged> {
        let bytes = self.raw(16)?;
        Ok(u128::from_be_bytes(bytes.try_into().map_err(|_| Damaged)?))
    }

    /// So many bytes.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(Damaged)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Length, then bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let len = self.count()?;
        self.raw(len)
    }

    /// UTF-8 text.
    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damaged)
    }

    /// A label set.
    pub fn labels(&mut self) -> Result<Labels, Damaged> {
        let count = self.count()?;
        let mut pairs = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            pairs.push((Arc::<str>::from(self.text()?), Arc::<str>::from(self.text()?)));
        }
        Ok(Labels::new(pairs))
    }
}
