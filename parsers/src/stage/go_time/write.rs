//! Times written as a layout says.

use jiff::Zoned;

use super::{Field, Layout, MONTHS, Part, WEEKDAYS};

impl Layout {
    /// The time in the layout's words, in its own zone.
    pub fn write(&self, time: &Zoned) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(field) => write_field(*field, time, &mut out),
            }
        }
        out
    }
}

fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

fn write_field(field: Field, time: &Zoned, out: &mut String) {
    let month = MONTHS.get(time.month() as usize - 1).copied().unwrap_or_default();
    let weekday = WEEKDAYS.get(time.weekday().to_sunday_zero_offset() as usize).copied().unwrap_or_default();
    let number = |value: i16, fixed: bool| if fixed { format!("{value:02}") } else { value.to_string() };
    let hour12 = i16::from((time.hour() + 11) % 12 + 1);
    out.push_str(&match field {
        Field::LongMonth => month.to_owned(),
        Field::Month => short(month).to_owned(),
        Field::NumMonth { fixed } => number(i16::from(time.month()), fixed),
        Field::LongWeekday => weekday.to_owned(),
        Field::Weekday => short(weekday).to_owned(),
        Field::Day { fixed } => number(i16::from(time.day()), fixed),
        Field::YearDay => format!("{:03}", time.day_of_year()),
        Field::Hour24 => format!("{:02}", time.hour()),
        Field::Hour12 { fixed } => number(hour12, fixed),
        Field::Minute { fixed } => number(i16::from(time.minute()), fixed),
        Field::Second { fixed } => number(i16::from(time.second()), fixed),
        Field::Fraction { digits, trims } => fraction(time.subsec_nanosecond(), digits, trims),
        Field::LongYear => format!("{:04}", time.year()),
        Field::Year => format!("{:02}", time.year().rem_euclid(100)),
        Field::HalfDay => if time.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        Field::ZoneName => zone_name(time),
        Field::ZoneOffset { colons, minutes, seconds, z } => zone(time, [colons, minutes, seconds, z]),
    });
}

fn zone_name(time: &Zoned) -> String {
    time.time_zone().to_offset_info(time.timestamp()).abbreviation().to_owned()
}

fn fraction(nanos: i32, digits: usize, trims: bool) -> String {
    let all = format!("{nanos:09}");
    let shown = all.get(..digits.min(9)).unwrap_or(&all);
    let shown = if trims { shown.trim_end_matches('0') } else { shown };
    if shown.is_empty() { String::new() } else { format!(".{shown}") }
}

fn zone(time: &Zoned, [colons, minutes, seconds, z]: [bool; 4]) -> String {
    let offset = time.offset().seconds();
    if z && offset == 0 {
        return "Z".to_owned();
    }
    let colon = if colons { ":" } else { "" };
    let size = offset.unsigned_abs();
    let mut out = format!("{}{:02}", if offset < 0 { '-' } else { '+' }, size / 3600);
    if minutes {
        out.push_str(&format!("{colon}{:02}", size / 60 % 60));
    }
    if seconds {
        out.push_str(&format!("{colon}{:02}", size % 60));
    }
    out
}
