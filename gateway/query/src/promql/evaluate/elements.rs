//! Functions of one number.

use std::f64::consts::PI;

/// Go's `math.Max`: NaN stays NaN.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        if a == f64::INFINITY || b == f64::INFINITY { f64::INFINITY } else { f64::NAN }
    } else {
        a.max(b)
    }
}

/// Go's `math.Min`.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY { f64::NEG_INFINITY } else { f64::NAN }
    } else {
        a.min(b)
    }
}

/// The function of this name with a vector alone.
pub(super) fn find(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |value| value * 180.0 / PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |value| value * PI / 180.0,
        "sgn" => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

/// Between two bounds; nothing if they are the wrong way round.
pub(super) fn clamp(value: f64, lower: f64, upper: f64) -> Option<f64> {
    if upper < lower { None } else { Some(larger(lower, smaller(upper, value))) }
}

/// Not below.
pub(super) fn clamp_min(value: f64, lower: f64) -> f64 {
    larger(lower, value)
}

/// Not above.
pub(super) fn clamp_max(value: f64, upper: f64) -> f64 {
    smaller(upper, value)
}

/// To the nearest multiple; halves go up.
pub(super) fn round(value: f64, to: f64) -> f64 {
    // Multiplied with the inverse, so that 0.1 gives what people expect.
    let inverse = 1.0 / to;
    (value * inverse + 0.5).floor() / inverse
}
