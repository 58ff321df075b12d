//! Names of metrics and labels as Prometheus writes them.

/// A metric's name: characters outside `[a-zA-Z0-9_:]` become `_`, the unit and, for a counter, `_total` are appended unless
/// there already.
pub(super) fn metric_name(name: &str, unit: &str, counter: bool, gauge: bool) -> String {
    let mut out = clean(name, true);
    let suffix = unit_suffix(unit, gauge);
    if counter {
        out = out.strip_suffix("_total").map(str::to_owned).unwrap_or(out);
    }
    if !suffix.is_empty() && !out.ends_with(&format!("_{suffix}")) && out != suffix {
        out.push('_');
        out.push_str(&suffix);
    }
    if counter {
        out.push_str("_total");
    }
    out
}

/// A label's name.
pub(super) fn label_name(key: &str) -> String {
    clean(key, false)
}

fn clean(name: &str, colon: bool) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    let mut out: String = name.chars().map(|c| if keep(c) { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

/// UCUM units in Prometheus' words; a rate `a/b` becomes `a_per_b`; annotations in braces say nothing.
fn unit_suffix(unit: &str, gauge: bool) -> String {
    let unit = unit.split('{').next().unwrap_or_default().trim();
    if unit == "1" {
        return if gauge { "ratio".to_owned() } else { String::new() };
    }
    match unit.split_once('/') {
        Some((what, per)) if !per.is_empty() => {
            let per = match per {
                "s" => "second",
                "m" | "min" => "minute",
                "h" => "hour",
                "d" => "day",
                other => word(other),
            };
            clean(&format!("{}_per_{per}", word(what)), false).trim_start_matches('_').to_owned()
        }
        _ => clean(word(unit.trim_end_matches('/')), false),
    }
}

fn word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "KBy" | "kBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        other => other,
    }
}
