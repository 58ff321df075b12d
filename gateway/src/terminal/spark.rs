//! A series as one short row of bars.

/// Cells at most: enough for a shape, little beside the names.
pub(crate) const CELLS: usize = 20;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One cell a value, or the highest of several where there are more than [`CELLS`]; a blank where none is finite.
pub(crate) fn sparkline(values: &[f64]) -> String {
    let share = values.len().div_ceil(CELLS).max(1);
    let peaks: Vec<Option<f64>> = values
        .chunks(share)
        .map(|chunk| chunk.iter().copied().filter(|v| v.is_finite()).reduce(f64::max))
        .collect();
    let Some((low, high)) = range(values) else { return String::new() };
    let cell = |peak: &Option<f64>| match peak {
        None => ' ',
        Some(peak) => {
            // Halved first: the distance of two finite values may not be finite.
            let (height, span) = (peak / 2.0 - low / 2.0, high / 2.0 - low / 2.0);
            let level = if span > 0.0 { (height / span * 7.0).round() as usize } else { 0 };
            LEVELS.get(level).copied().unwrap_or('█')
        }
    };
    peaks.iter().map(cell).collect()
}

/// Lowest and highest finite value.
pub(crate) fn range(values: &[f64]) -> Option<(f64, f64)> {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    Some((finite().reduce(f64::min)?, finite().reduce(f64::max)?))
}

/// A value in few digits.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        format!("{value}")
    } else if !(1e-4..1e9).contains(&size) {
        format!("{value:.2e}")
    } else {
        // Four significant digits, without trailing zeros.
        let places = (3 - size.log10().floor() as i32).max(0) as usize;
        let digits = format!("{value:.places$}");
        if places > 0 { digits.trim_end_matches('0').trim_end_matches('.').to_owned() } else { digits }
    }
}
