//! Parts of dates, in UTC.

/// Days since 1970 and seconds of the day.
fn split(seconds: f64) -> (i64, i64) {
    let whole = seconds as i64;
    (whole.div_euclid(86_400), whole.rem_euclid(86_400))
}

/// Year, month and day of a day since 1970 (the proleptic Gregorian calendar, counted from March on).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// The function of this name over seconds since 1970.
pub(super) fn find(name: &str) -> Option<fn(f64) -> f64> {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    Some(match name {
        "minute" => |t| (split(t).1 / 60 % 60) as f64,
        "hour" => |t| (split(t).1 / 3600) as f64,
        "day_of_week" => |t| (split(t).0 + 4).rem_euclid(7) as f64,
        "day_of_month" => |t| civil(split(t).0).2 as f64,
        "month" => |t| civil(split(t).0).1 as f64,
        "year" => |t| civil(split(t).0).0 as f64,
        "day_of_year" => |t| {
            let (year, month, day) = civil(split(t).0);
            let before = usize::try_from(month - 1).ok().and_then(|m| BEFORE.get(m)).copied().unwrap_or(0);
            (before + day + i64::from(month > 2 && is_leap(year))) as f64
        },
        "days_in_month" => |t| {
            let (year, month, _) = civil(split(t).0);
            match month {
                2 => {
                    if is_leap(year) {
                        29.0
                    } else {
                        28.0
                    }
                }
                4 | 6 | 9 | 11 => 30.0,
                _ => 31.0,
            }
        },
        _ => return None,
    })
}
