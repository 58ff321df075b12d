//! Cursors: where in a journal an entry stands.

/// What a cursor says of its entry's place: `s=…;i=…;b=…;m=…;t=…;x=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Who numbers the entries (`s`).
    pub source: u128,
    /// Its number of this entry (`i`); they grow.
    pub number: u64,
}

impl Cursor {
    /// Reads one; `None` if it does not say both.
    pub fn parse(text: &str) -> Option<Self> {
        let part = |name: &str| text.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        let (source, number) = (part("s").filter(|s| hex(s))?, part("i").filter(|i| hex(i))?);
        Some(Self {
            source: u128::from_str_radix(source, 16).ok()?,
            number: u64::from_str_radix(number, 16).ok()?,
        })
    }
}
