//! The functions of the language: names, types of arguments and results. What they do is in `evaluate`.

use super::ast::ValueType;

use ValueType::{Matrix, Scalar, String, Vector};

/// One function.
#[derive(Debug)]
pub(crate) struct Function {
    pub name: &'static str,
    pub arguments: &'static [ValueType],
    pub optional: Optional,
    pub returns: ValueType,
}

/// How many arguments there may be other than those listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Optional {
    None,
    /// The last of those listed may be left out.
    Last,
    /// The last of those listed may be left out, or be given many times.
    Many,
}

const fn function(name: &'static str, arguments: &'static [ValueType]) -> Function {
    Function { name, arguments, optional: Optional::None, returns: Vector }
}

const fn scalar(name: &'static str, arguments: &'static [ValueType]) -> Function {
    Function { name, arguments, optional: Optional::None, returns: Scalar }
}

const fn optional(name: &'static str, arguments: &'static [ValueType], optional: Optional) -> Function {
    Function { name, arguments, optional, returns: Vector }
}

const OF_VECTOR: &[ValueType] = &[Vector];
const OF_RANGE: &[ValueType] = &[Matrix];

/// Sorted by name.
static FUNCTIONS: [Function; 73] = [
    function("abs", OF_VECTOR),
    function("absent", OF_VECTOR),
    function("absent_over_time", OF_RANGE),
    function("acos", OF_VECTOR),
    function("acosh", OF_VECTOR),
    function("asin", OF_VECTOR),
    function("asinh", OF_VECTOR),
    function("atan", OF_VECTOR),
    function("atanh", OF_VECTOR),
    function("avg_over_time", OF_RANGE),
    function("ceil", OF_VECTOR),
    function("changes", OF_RANGE),
    function("clamp", &[Vector, Scalar, Scalar]),
    function("clamp_max", &[Vector, Scalar]),
    function("clamp_min", &[Vector, Scalar]),
    function("cos", OF_VECTOR),
    function("cosh", OF_VECTOR),
    function("count_over_time", OF_RANGE),
    optional("day_of_month", OF_VECTOR, Optional::Last),
    optional("day_of_week", OF_VECTOR, Optional::Last),
    optional("day_of_year", OF_VECTOR, Optional::Last),
    optional("days_in_month", OF_VECTOR, Optional::Last),
    function("deg", OF_VECTOR),
    function("delta", OF_RANGE),
    function("deriv", OF_RANGE),
    function("exp", OF_VECTOR),
    function("floor", OF_VECTOR),
    function("histogram_avg", OF_VECTOR),
    function("histogram_count", OF_VECTOR),
    function("histogram_fraction", &[Scalar, Scalar, Vector]),
    function("histogram_quantile", &[Scalar, Vector]),
    function("histogram_stddev", OF_VECTOR),
    function("histogram_stdvar", OF_VECTOR),
    function("histogram_sum", OF_VECTOR),
    function("holt_winters", &[Matrix, Scalar, Scalar]),
    optional("hour", OF_VECTOR, Optional::Last),
    function("idelta", OF_RANGE),
    function("increase", OF_RANGE),
    function("irate", OF_RANGE),
    optional("label_join", &[Vector, String, String, String], Optional::Many),
    function("label_replace", &[Vector, String, String, String, String]),
    function("last_over_time", OF_RANGE),
    function("ln", OF_VECTOR),
    function("log10", OF_VECTOR),
    function("log2", OF_VECTOR),
    function("max_over_time", OF_RANGE),
    function("min_over_time", OF_RANGE),
    optional("minute", OF_VECTOR, Optional::Last),
    optional("month", OF_VECTOR, Optional::Last),
    scalar("pi", &[]),
    function("predict_linear", &[Matrix, Scalar]),
    function("present_over_time", OF_RANGE),
    function("quantile_over_time", &[Scalar, Matrix]),
    function("rad", OF_VECTOR),
    function("rate", OF_RANGE),
    function("resets", OF_RANGE),
    optional("round", &[Vector, Scalar], Optional::Last),
    scalar("scalar", OF_VECTOR),
    function("sgn", OF_VECTOR),
    function("sin", OF_VECTOR),
    function("sinh", OF_VECTOR),
    function("sort", OF_VECTOR),
    function("sort_desc", OF_VECTOR),
    function("sqrt", OF_VECTOR),
    function("stddev_over_time", OF_RANGE),
    function("stdvar_over_time", OF_RANGE),
    function("sum_over_time", OF_RANGE),
    function("tan", OF_VECTOR),
    function("tanh", OF_VECTOR),
    scalar("time", &[]),
    function("timestamp", OF_VECTOR),
    function("vector", &[Scalar]),
    optional("year", OF_VECTOR, Optional::Last),
];

/// Functions that Prometheus has behind a switch.
const EXPERIMENTAL: [&str; 16] = [
    "double_exponential_smoothing",
    "end",
    "first_over_time",
    "histogram_quantiles",
    "info",
    "integral",
    "mad_over_time",
    "range",
    "sort_by_label",
    "sort_by_label_desc",
    "start",
    "step",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

/// The function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().and_then(|at| FUNCTIONS.get(at))
}

/// Whether it is one that Prometheus has behind a switch.
pub(crate) fn is_experimental(name: &str) -> bool {
    EXPERIMENTAL.contains(&name)
}

/// All names, for tests that go through them.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|f| f.name)
}
