//! Go's layouts of times: the reference time `Mon Jan 2 15:04:05 -0700 MST 2006` spelled as the times are.

mod write;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    LongMonth,
    Month,
    NumMonth {
        fixed: bool,
    },
    LongWeekday,
    Weekday,
    Day {
        fixed: bool,
    },
    YearDay,
    Hour24,
    Hour12 {
        fixed: bool,
    },
    Minute {
        fixed: bool,
    },
    Second {
        fixed: bool,
    },
    Fraction {
        digits: usize,
        /// `.999`: without zeros at the end.
        trims: bool,
    },
    LongYear,
    Year,
    HalfDay,
    ZoneName,
    /// With colons, minutes, seconds, and `Z` for UTC.
    ZoneOffset {
        colons: bool,
        minutes: bool,
        seconds: bool,
        z: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// A layout that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout(Vec<Part>);

/// From whether it has colons, minutes, seconds, and `Z` for UTC.
const fn offset([colons, minutes, seconds, z]: [bool; 4]) -> Field {
    Field::ZoneOffset { colons, minutes, seconds, z }
}

/// Spellings and their fields, longer ones first.
const FIELDS: [(&str, Field); 33] = [
    ("January", Field::LongMonth),
    ("Jan", Field::Month),
    ("Monday", Field::LongWeekday),
    ("Mon", Field::Weekday),
    ("MST", Field::ZoneName),
    ("2006", Field::LongYear),
    ("-07:00:00", offset([true, true, true, false])),
    ("-070000", offset([false, true, true, false])),
    ("-07:00", offset([true, true, false, false])),
    ("-0700", offset([false, true, false, false])),
    ("-07", offset([false, false, false, false])),
    ("Z07:00:00", offset([true, true, true, true])),
    ("Z070000", offset([false, true, true, true])),
    ("Z07:00", offset([true, true, false, true])),
    ("Z0700", offset([false, true, false, true])),
    ("Z07", offset([false, false, false, true])),
    ("002", Field::YearDay),
    ("__2", Field::YearDay),
    ("01", Field::NumMonth { fixed: true }),
    ("02", Field::Day { fixed: true }),
    ("03", Field::Hour12 { fixed: true }),
    ("04", Field::Minute { fixed: true }),
    ("05", Field::Second { fixed: true }),
    ("06", Field::Year),
    ("15", Field::Hour24),
    ("_2", Field::Day { fixed: false }),
    ("PM", Field::HalfDay),
    ("pm", Field::HalfDay),
    ("1", Field::NumMonth { fixed: false }),
    ("2", Field::Day { fixed: false }),
    ("3", Field::Hour12 { fixed: false }),
    ("4", Field::Minute { fixed: false }),
    ("5", Field::Second { fixed: false }),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Layout {
    /// Reads a layout. One without any field can never read a time.
    pub fn new(text: &str) -> Result<Self, String> {
        let layout = Self::any(text);
        let is_date = |part: &Part| {
            matches!(
                part,
                Part::Field(Field::Day { .. } | Field::YearDay | Field::Hour24 | Field::Hour12 { .. })
            )
        };
        if !layout.0.iter().any(is_date) {
            return Err(format!(
                "the format `{text}` has neither a day nor an hour: write how `Mon Jan 2 15:04:05 2006` would stand in the line, \
                 or one of the names such as RFC3339 and UnixMs"
            ));
        }
        Ok(layout)
    }

    /// Reads a layout, whatever it holds.
    pub fn any(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let fraction = fraction(rest).map(|length| {
                let trims = rest.get(1..2) == Some("9");
                (Field::Fraction { digits: length - 1, trims }, length)
            });
            let found = fraction.or_else(|| field(rest));
            if let Some((field, length)) = found {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Field(field));
                rest = rest.get(length..).unwrap_or_default();
            } else {
                plain.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Self(parts)
    }

    /// Nanoseconds since the epoch. A time without a zone is in `zone`; one without a year is in the year of `now`, or of
    /// the year beside it around New Year.
    pub fn read(&self, text: &str, zone: &TimeZone, now: u64) -> Option<u64> {
        let mut read = Reading::default();
        let mut rest = text;
        for (at, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(plain) => rest = literal(plain, rest)?,
                Part::Field(field) => {
                    rest = read.field(*field, rest)?;
                    let fraction_next =
                        matches!(self.0.get(at + 1), Some(Part::Field(Field::Fraction { .. })));
                    if matches!(field, Field::Second { .. }) && !fraction_next && fraction_length(rest) > 0 {
                        rest = read.field(Field::Fraction { digits: 9, trims: true }, rest)?;
                    }
                }
            }
        }
        if rest.is_empty() { read.time(zone, now) } else { None }
    }
}

/// The field that the layout has here, and the length of its spelling.
fn field(text: &str) -> Option<(Field, usize)> {
    let (spelling, field) = FIELDS.iter().find(|(spelling, _)| text.starts_with(spelling))?;
    // Go takes `_2006` for a line and a year, and `Mon` and `Jan` only where no small letter goes on.
    if *spelling == "_2" && text.starts_with("_2006") {
        return None;
    }
    let goes_on =
        text.get(spelling.len()..).is_some_and(|after| after.starts_with(|c: char| c.is_ascii_lowercase()));
    if goes_on && matches!(field, Field::Month | Field::Weekday) {
        return None;
    }
    Some((*field, spelling.len()))
}

/// `.000`, `,999999`: a run of one digit that no other digit follows.
fn fraction(text: &str) -> Option<usize> {
    let digits = text.strip_prefix(['.', ','])?;
    let digit = digits.bytes().next().filter(|b| matches!(b, b'0' | b'9'))?;
    let length = digits.bytes().take_while(|b| *b == digit).count();
    let ends = !digits.as_bytes().get(length).copied().is_some_and(|b| b.is_ascii_digit());
    ends.then_some(length + 1)
}

/// Bytes of `.123` at the text's beginning; 0 if there are none.
fn fraction_length(text: &str) -> usize {
    let Some(digits) = text.strip_prefix(['.', ',']) else { return 0 };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    if length > 0 { length + 1 } else { 0 }
}

/// What follows plain text of the layout; any number of spaces stands for spaces.
fn literal<'t>(plain: &str, text: &'t str) -> Option<&'t str> {
    let (mut plain, mut text) = (plain, text);
    while let Some(c) = plain.chars().next() {
        if c == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            (plain, text) = (plain.trim_start_matches(' '), text.trim_start_matches(' '));
        } else {
            (plain, text) = (plain.get(c.len_utf8()..)?, text.strip_prefix(c)?);
        }
    }
    Some(text)
}

/// A number of one or two digits, or of exactly two.
fn number(text: &str, fixed: bool) -> Option<(i64, &str)> {
    let length = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if length == 0 || (fixed && length < 2) {
        return None;
    }
    let (digits, rest) = text.split_at_checked(length)?;
    Some((digits.parse().ok()?, rest))
}

fn digits(text: &str, length: usize) -> Option<(i64, &str)> {
    let (digits, rest) = text.split_at_checked(length)?;
    let all = digits.bytes().all(|b| b.is_ascii_digit());
    Some((digits.parse().ok().filter(|_| all)?, rest))
}

/// Which of the names the text begins with, whatever its case.
fn named<'t>(names: &[&str], short: bool, text: &'t str) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if short { name.get(..3)? } else { name };
        let (head, rest) = text.split_at_checked(name.len())?;
        head.eq_ignore_ascii_case(name).then_some((index, rest))
    })
}

#[derive(Debug, Default)]
struct Reading {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    half_day: Option<bool>,
    /// Seconds east of Greenwich.
    offset: Option<i64>,
}

impl Reading {
    fn field<'t>(&mut self, field: Field, text: &'t str) -> Option<&'t str> {
        let rest;
        match field {
            Field::LongMonth | Field::Month => {
                let (index, after) = named(&MONTHS, field == Field::Month, text)?;
                (self.month, rest) = (Some(index as i64 + 1), after);
            }
            Field::NumMonth { fixed } => {
                let (month, after) = number(text, fixed)?;
                (self.month, rest) = (Some(month), after);
            }
            Field::LongWeekday | Field::Weekday => {
                (_, rest) = named(&WEEKDAYS, field == Field::Weekday, text)?;
            }
            Field::Day { fixed } => {
                let (day, after) = number(text.strip_prefix(' ').filter(|_| !fixed).unwrap_or(text), fixed)?;
                (self.day, rest) = (Some(day), after);
            }
            Field::YearDay => {
                let spaces = text.len() - text.trim_start_matches(' ').len();
                let (day, after) = digits(text.get(spaces..)?, 3usize.checked_sub(spaces)?)?;
                (self.year_day, rest) = (Some(day), after);
            }
            Field::Hour24 => (self.hour, rest) = number(text, false)?,
            Field::Hour12 { fixed } => {
                (self.hour, rest) = number(text, fixed)?;
                if self.hour > 12 {
                    return None;
                }
            }
            Field::Minute { fixed } => (self.minute, rest) = number(text, fixed)?,
            Field::Second { fixed } => (self.second, rest) = number(text, fixed)?,
            Field::Fraction { .. } => {
                let length = fraction_length(text);
                // Without digits it was `.999`, of which nothing need be there.
                if length == 0 {
                    return Some(text);
                }
                let used = length.min(10);
                let value: i64 = text.get(1..used)?.parse().ok()?;
                self.nanos = value * 10i64.pow(10 - used as u32);
                rest = text.get(length..)?;
            }
            Field::LongYear => {
                let (year, after) = digits(text, 4)?;
                (self.year, rest) = (Some(year), after);
            }
            Field::Year => {
                let (year, after) = digits(text, 2)?;
                (self.year, rest) = (Some(if year >= 69 { 1900 + year } else { 2000 + year }), after);
            }
            Field::HalfDay => {
                let (index, after) = named(&["AM", "PM"], false, text)?;
                (self.half_day, rest) = (Some(index == 1), after);
            }
            Field::ZoneName => {
                let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
                if !(3..=5).contains(&letters) {
                    return None;
                }
                // Other names are in the zone that is configured; Go knows no more of them either.
                if matches!(text.get(..letters), Some("UTC" | "GMT")) {
                    self.offset.get_or_insert(0);
                }
                rest = text.get(letters..)?;
            }
            Field::ZoneOffset { colons, minutes, seconds, z } => {
                if let Some(after) = text.strip_prefix('Z').filter(|_| z) {
                    self.offset = Some(0);
                    return Some(after);
                }
                let after = text.strip_prefix(['+', '-'])?;
                let (mut value, mut after) = digits(after, 2).map(|(hours, after)| (hours * 3600, after))?;
                for (wanted, unit) in [(minutes, 60), (seconds, 1)] {
                    if wanted {
                        after = if colons { after.strip_prefix(':')? } else { after };
                        let (more, behind) = digits(after, 2)?;
                        (value, after) = (value + more * unit, behind);
                    }
                }
                self.offset = Some(if text.starts_with('-') { -value } else { value });
                rest = after;
            }
        }
        Some(rest)
    }

    fn time(&self, zone: &TimeZone, now: u64) -> Option<u64> {
        let hour = match (self.half_day, self.hour) {
            (Some(true), 12) => 12,
            (Some(true), hour) => hour + 12,
            (Some(false), 12) => 0,
            (_, hour) => hour,
        };
        // A leap second counts as the last of its minute.
        let second = self.second.min(if self.second == 60 { 59 } else { self.second });
        let time = Time::new(
            hour.try_into().ok()?,
            self.minute.try_into().ok()?,
            second.try_into().ok()?,
            self.nanos as i32,
        );
        let time = time.ok()?;
        let year = self.year.unwrap_or_else(|| self.year_near(now));
        let date = match self.year_day {
            Some(day) => {
                let first = Date::new(year.try_into().ok()?, 1, 1).ok()?;
                first.checked_add(jiff::Span::new().try_days(day.checked_sub(1)?).ok()?).ok()?
            }
            None => {
                let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
                Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?
            }
        };
        let local = DateTime::from_parts(date, time);
        let instant = match self.offset {
            Some(seconds) => Offset::from_seconds(seconds.try_into().ok()?).ok()?.to_timestamp(local).ok()?,
            None => zone.to_ambiguous_timestamp(local).compatible().ok()?,
        };
        u64::try_from(instant.as_nanosecond()).ok()
    }

    /// The current year; in January the last one for a December, in December the next one for a January.
    fn year_near(&self, now: u64) -> i64 {
        let now = jiff::Timestamp::from_nanosecond(i128::from(now)).unwrap_or_default();
        let date = Offset::UTC.to_datetime(now);
        let year = i64::from(date.year());
        match (date.month(), self.month) {
            (1, Some(12)) => year - 1,
            (12, Some(1)) => year + 1,
            _ => year,
        }
    }
}
