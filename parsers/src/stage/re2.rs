//! RE2's spelling of expressions, as Go and so Promtail's users write them, in the words of the `regex` crate. Most is the
//! same; what is not either fails there or, worse, means something else.

/// The expression with the same meaning. What neither can read is left as it is.
pub(super) fn translate(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = match c {
            '\\' => escape(after, in_class, &mut out),
            '[' if in_class => class_in_class(after, &mut out),
            '[' => {
                in_class = true;
                class_begins(after, &mut out)
            }
            ']' if in_class => {
                in_class = false;
                out.push(c);
                after
            }
            // Intersection and symmetric difference of classes are not known to RE2.
            '&' | '~' if in_class => {
                out.extend(['\\', c]);
                after
            }
            // A brace that counts nothing stands for itself.
            '{' if !in_class && !counts(after) => {
                out.push_str("\\{");
                after
            }
            _ => {
                out.push(c);
                after
            }
        };
    }
    out
}

/// A backslash and what follows it.
fn escape<'t>(after: &'t str, in_class: bool, out: &mut String) -> &'t str {
    let Some(c) = after.chars().next() else {
        out.push('\\');
        return after;
    };
    let rest = after.get(c.len_utf8()..).unwrap_or_default();
    match c {
        // Perl's classes and word boundaries know ASCII only.
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str(r"[\t\n\x0c\r ]"),
        'S' => out.push_str(r"[^\t\n\x0c\r ]"),
        'b' if !in_class => out.push_str(r"(?-u:\b)"),
        // The crate has these for the boundaries of words.
        '<' | '>' => out.push(c),
        'Q' if !in_class => {
            let (quoted, rest) = rest.split_once(r"\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(quoted));
            return rest;
        }
        'p' | 'P' | 'x' if rest.starts_with('{') => {
            let end = rest.find('}').map_or(rest.len(), |end| end + 1);
            let (braces, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
            out.extend(['\\', c]);
            out.push_str(braces);
            return rest;
        }
        _ => out.extend(['\\', c]),
    }
    rest
}

/// The beginning of a class: a `]` at once stands for itself.
fn class_begins<'t>(after: &'t str, out: &mut String) -> &'t str {
    out.push('[');
    let mut rest = after;
    if let Some(negated) = rest.strip_prefix('^') {
        out.push('^');
        rest = negated;
    }
    if let Some(behind) = rest.strip_prefix(']') {
        out.push_str("\\]");
        rest = behind;
    }
    rest
}

/// A bracket in a class: a name such as `[:alpha:]`, or itself.
fn class_in_class<'t>(after: &'t str, out: &mut String) -> &'t str {
    let named = after.strip_prefix(':').and_then(|name| name.split_once(":]"));
    let named = named.filter(|(name, _)| name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'^'));
    if let Some((name, rest)) = named {
        out.extend(["[:", name, ":]"]);
        return rest;
    }
    out.push_str("\\[");
    after
}

/// Whether this, behind `{`, is a repetition: `2}`, `2,}`, `2,5}`.
fn counts(text: &str) -> bool {
    let Some((inside, _)) = text.split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}
