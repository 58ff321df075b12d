//! Quoted texts and their escapes, which are Go's.

/// The text that begins with a quote, and how many bytes it takes with both quotes.
pub(super) fn quoted(rest: &str) -> Result<(String, usize), String> {
    let mut characters = rest.char_indices().peekable();
    let Some((_, quote)) = characters.next() else { return Err("unterminated quoted string".to_owned()) };
    let unterminated =
        || if quote == '`' { "unterminated raw string" } else { "unterminated quoted string" }.to_owned();
    // Escapes give bytes; those that are no text together are replaced.
    let mut bytes = Vec::new();
    while let Some((at, c)) = characters.next() {
        if c == quote {
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), at + c.len_utf8()));
        }
        if quote == '`' || c != '\\' {
            if c == '\n' && quote != '`' {
                return Err(unterminated());
            }
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let Some((_, escape)) = characters.next() else {
            return Err("escape sequence not terminated".to_owned());
        };
        let (count, radix, first) = match escape {
            'a' => (0, 0, 7),
            'b' => (0, 0, 8),
            'f' => (0, 0, 12),
            'n' => (0, 0, 10),
            'r' => (0, 0, 13),
            't' => (0, 0, 9),
            'v' => (0, 0, 11),
            '\\' => (0, 0, u32::from(b'\\')),
            c if c == quote => (0, 0, u32::from(c)),
            '0'..='7' => (2, 8, escape.to_digit(8).unwrap_or(0)),
            'x' => (2, 16, 0),
            'u' => (4, 16, 0),
            'U' => (8, 16, 0),
            other => {
                return Err(format!("unknown escape sequence U+{:04X} {other:?}", u32::from(other)));
            }
        };
        let mut code = first;
        for _ in 0..count {
            let Some((_, digit)) = characters.next() else {
                return Err("escape sequence not terminated".to_owned());
            };
            let Some(value) = digit.to_digit(radix) else {
                return Err(format!(
                    "illegal character U+{:04X} {digit:?} in escape sequence",
                    u32::from(digit)
                ));
            };
            code = code.wrapping_mul(radix).wrapping_add(value);
        }
        if matches!(escape, 'x' | '0'..='7') {
            let Ok(byte) = u8::try_from(code) else {
                return Err("escape sequence is an invalid Unicode code point".to_owned());
            };
            bytes.push(byte);
        } else {
            let Some(c) = char::from_u32(code) else {
                return Err("escape sequence is an invalid Unicode code point".to_owned());
            };
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Err(unterminated())
}
