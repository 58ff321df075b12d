//! Structured metadata as bytes: key and value, each with a LEB128 length before it, one after the other.

/// Appends one pair.
pub fn push_pair(out: &mut Vec<u8>, key: &str, value: &str) {
    for text in [key, value] {
        let mut len = text.len();
        while len >= 0x80 {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend_from_slice(text.as_bytes());
    }
}

/// Reads pairs back; ends early at bytes that [`push_pair`] did not write.
#[derive(Debug, Clone)]
pub struct Pairs<'a>(&'a [u8]);

impl<'a> Pairs<'a> {
    /// Over the bytes of one record.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next pair as bytes, for who passes over most: text is looked at for being text.
    pub fn next_bytes(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let key = self.bytes()?;
        Some((key, self.bytes()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let mut len = 0usize;
        for shift in (0..35).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            len |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let (text, rest) = self.0.split_at_checked(len)?;
                self.0 = rest;
                return Some(text);
            }
        }
        None
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.text()?;
        Some((key, self.text()?))
    }
}
