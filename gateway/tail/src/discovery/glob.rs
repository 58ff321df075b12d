//! Globs over paths: `*` and `?` within a name, `**` over any number of folders.

/// A pattern of an absolute path.
#[derive(Debug, Clone)]
pub struct Glob {
    parts: Vec<String>,
}

impl Glob {
    /// From its text. Every text is a pattern.
    pub fn new(text: &str) -> Self {
        Self { parts: text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect() }
    }

    /// Whether it covers the path.
    pub fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        covers(&self.parts, &names)
    }

    /// Its names, from the root.
    pub(super) fn parts(&self) -> &[String] {
        &self.parts
    }
}

fn covers(parts: &[String], names: &[&str]) -> bool {
    match parts.split_first() {
        None => names.is_empty(),
        Some((part, rest)) if part == "**" => {
            (0..=names.len()).any(|skipped| covers(rest, names.get(skipped..).unwrap_or_default()))
        }
        Some((part, rest)) => names.split_first().is_some_and(|(name, names)| {
            name_matches(part.as_bytes(), name.as_bytes()) && covers(rest, names)
        }),
    }
}

/// One name against one part of a pattern; goes back only to the last `*`, so that it is never slow.
pub(super) fn name_matches(part: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match part.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                n += 1;
            }
            Some(byte) if name.get(n) == Some(byte) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    part.get(p..).unwrap_or_default().iter().all(|&byte| byte == b'*')
}
