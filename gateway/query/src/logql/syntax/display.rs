//! The canonical form of a query: read again, it is the same query.

use std::fmt::{self, Display, Formatter};

use super::ast::*;
use super::quantity::spell_duration;

/// A text in quotes, with the escapes that the reader knows.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\U{:08x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn list<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    between: &str,
    mut each: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        each(f, item)?;
    }
    Ok(())
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(query) => query.fmt(f),
            Self::Range(range) => range.fmt(f),
            Self::Vector(vector) => vector.fmt(f),
            Self::Binary(binary) => binary.fmt(f),
            Self::LabelReplace(replace) => replace.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::VectorOf(value) => write!(f, "vector({value})"),
        }
    }
}

/// The selector alone.
pub(super) struct Selector<'a>(pub(super) &'a [LabelMatcher]);

impl Display for Selector<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        list(f, self.0, ", ", |f, matcher| matcher.fmt(f))?;
        f.write_str("}")
    }
}

impl Display for LogQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Selector(&self.matchers).fmt(f)?;
        self.stages.iter().try_for_each(|stage| write!(f, " {stage}"))
    }
}

impl Display for LabelMatcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.test)
    }
}

impl Display for TextTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (op, text) = match self {
            Self::Equal(text) => ("=", text),
            Self::NotEqual(text) => ("!=", text),
            Self::Matches(expression) => ("=~", &expression.text),
            Self::NotMatches(expression) => ("!~", &expression.text),
        };
        write!(f, "{op}{}", quote(text))
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Self::Line(filter) = self {
            return filter.fmt(f);
        }
        f.write_str("| ")?;
        let assign =
            |f: &mut Formatter<'_>, (name, value): (&str, &str)| write!(f, "{name}={}", quote(value));
        match self {
            Self::Line(_) => Ok(()),
            Self::Label(filter) => filter.fmt(f),
            Self::Json(paths) => {
                f.write_str(if paths.is_empty() { "json" } else { "json " })?;
                list(f, paths, ", ", |f, (name, path)| assign(f, (name, &path.text)))
            }
            Self::Logfmt { strict, keep_empty, keys } => {
                f.write_str("logfmt")?;
                f.write_str(if *strict { " --strict" } else { "" })?;
                f.write_str(if *keep_empty { " --keep-empty" } else { "" })?;
                f.write_str(if keys.is_empty() { "" } else { " " })?;
                list(f, keys, ", ", |f, (name, key)| assign(f, (name, key)))
            }
            Self::Regexp(expression) => write!(f, "regexp {}", quote(&expression.text)),
            Self::Pattern(pattern) => write!(f, "pattern {}", quote(pattern.as_str())),
            Self::Unpack => f.write_str("unpack"),
            Self::Decolorize => f.write_str("decolorize"),
            Self::LineFormat(template) => write!(f, "line_format {}", quote(template.as_str())),
            Self::LabelFormat(formats) => {
                f.write_str("label_format ")?;
                list(f, formats, ", ", |f, (name, format)| match format {
                    LabelFormat::Rename(from) => write!(f, "{name}={from}"),
                    LabelFormat::Template(template) => assign(f, (name, template.as_str())),
                })
            }
            Self::Drop(names) | Self::Keep(names) => {
                f.write_str(if matches!(self, Self::Drop(_)) { "drop " } else { "keep " })?;
                list(f, names, ", ", |f, named| {
                    f.write_str(&named.name)?;
                    named.test.as_ref().map_or(Ok(()), |test| test.fmt(f))
                })
            }
        }
    }
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.kind, self.negate) {
            (LineFilterKind::Text, false) => "|= ",
            (LineFilterKind::Text, true) => "!= ",
            (LineFilterKind::Regex, false) => "|~ ",
            (LineFilterKind::Regex, true) => "!~ ",
            (LineFilterKind::Pattern, false) => "|> ",
            (LineFilterKind::Pattern, true) => "!> ",
        })?;
        list(f, &self.any, " or ", |f, needle| match needle {
            Needle::Text(text) => f.write_str(&quote(text)),
            Needle::Regex(expression) => f.write_str(&quote(&expression.text)),
            Needle::Pattern(pattern) => f.write_str(&quote(&pattern.text)),
            Needle::Ip(range) => write!(f, "ip({})", quote(&range.text)),
        })
    }
}

impl Display for LabelFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(left, right) => write!(f, "({left} and {right})"),
            Self::Or(left, right) => write!(f, "({left} or {right})"),
            Self::Text(matcher) => matcher.fmt(f),
            Self::Number { name, op, value } => write!(f, "{name} {} {value}", op.spelling()),
            Self::Ip { name, negate, range } => {
                write!(f, "{name}{}ip({})", if *negate { "!=" } else { "=" }, quote(&range.text))
            }
        }
    }
}

impl Display for Quantity {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => value.fmt(f),
            Self::Duration(nanos) => f.write_str(&spell_duration(*nanos as i64)),
            Self::Bytes(bytes) => write!(f, "{bytes}B"),
        }
    }
}

impl Display for Unwrap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.conversion {
            Conversion::None => write!(f, "| unwrap {name}"),
            Conversion::Duration => write!(f, "| unwrap duration({name})"),
            Conversion::DurationSeconds => write!(f, "| unwrap duration_seconds({name})"),
            Conversion::Bytes => write!(f, "| unwrap bytes({name})"),
        }?;
        self.filters.iter().try_for_each(|filter| write!(f, " | {filter}"))
    }
}

impl RangeAggregation {
    /// `[5m] offset 1h`
    pub(super) fn window(&self) -> String {
        let range = format!("[{}]", spell_duration(self.range as i64));
        if self.offset == 0 { range } else { format!("{range} offset {}", spell_duration(self.offset)) }
    }
}

impl Display for RangeAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.spelling())?;
        if let Some(parameter) = self.parameter {
            write!(f, "{parameter}, ")?;
        }
        self.lines.fmt(f)?;
        if let Some(unwrap) = &self.unwrap {
            write!(f, " {unwrap}")?;
        }
        let gap = if self.lines.stages.is_empty() && self.unwrap.is_none() { "" } else { " " };
        write!(f, "{gap}{})", self.window())?;
        self.grouping.as_ref().map_or(Ok(()), |grouping| write!(f, " {grouping}"))
    }
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", if self.without { "without" } else { "by" }, self.names.join(", "))
    }
}

impl VectorAggregation {
    /// `sum by (a) `, up to the bracket.
    pub(super) fn head(&self) -> String {
        match &self.grouping {
            Some(grouping) => format!("{} {grouping} ", self.op.spelling()),
            None => self.op.spelling().to_owned(),
        }
    }
}

impl Display for VectorAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.head())?;
        if let Some(parameter) = self.parameter {
            write!(f, "{parameter}, ")?;
        }
        write!(f, "{})", self.inner)
    }
}

impl Binary {
    /// The operator with what modifies it.
    pub(super) fn operator(&self) -> String {
        let mut out = self.op.spelling().to_owned();
        if self.returns_bool {
            out.push_str(" bool");
        }
        if let Some(matching) = &self.matching {
            let word = if matching.on { "on" } else { "ignoring" };
            out.push_str(&format!(" {word} ({})", matching.names.join(", ")));
            if let Some(group) = &matching.group {
                let word = if group.left { "group_left" } else { "group_right" };
                out.push_str(&format!(" {word} ({})", group.include.join(", ")));
            }
        }
        out
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "({} {} {})", self.left, self.operator(), self.right)
    }
}

impl LabelReplace {
    /// The arguments behind the first.
    pub(super) fn arguments(&self) -> [String; 4] {
        [&self.to, &self.replacement, &self.from, &self.expression.text].map(|text| quote(text))
    }
}

impl Display for LabelReplace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "label_replace({}, {})", self.inner, self.arguments().join(", "))
    }
}
