//! Runs of hex digits that are long enough for an id, found by looking at every 16th byte.

/// Digits of the shortest id that counts without a key before it.
const SHORTEST: usize = 16;

static IS_HEX: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_hexdigit();
        byte += 1;
    }
    table
};

pub(super) fn is_hex(byte: u8) -> bool {
    IS_HEX[byte as usize]
}

/// The next run of at least 16 hex digits that begins at `from` or later: where it begins and ends.
pub(super) fn next(line: &[u8], from: usize) -> Option<(usize, usize)> {
    // A run of 16 covers one of the bytes at which a step of 16 looks.
    let mut at = from + SHORTEST - 1;
    while let Some(&byte) = line.get(at) {
        if is_hex(byte) {
            let before = line.get(from..at).unwrap_or_default();
            let start = at - before.iter().rev().take_while(|&&b| is_hex(b)).count();
            let end = at + len(line, at);
            if end - start >= SHORTEST {
                return Some((start, end));
            }
            // The byte at `end` is no digit: nothing before it can begin a run.
            at = end + SHORTEST;
        } else {
            at += SHORTEST;
        }
    }
    None
}

/// How many hex digits stand at `at`.
pub(super) fn len(line: &[u8], at: usize) -> usize {
    line.get(at..).unwrap_or_default().iter().take_while(|&&b| is_hex(b)).count()
}
