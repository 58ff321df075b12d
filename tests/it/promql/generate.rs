//! Queries that go through all functions, aggregations and operators, and random ones of them.

const OF_VECTOR: [&str; 35] = [
    "abs",
    "absent",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "deg",
    "exp",
    "floor",
    "hour",
    "ln",
    "log10",
    "log2",
    "minute",
    "month",
    "rad",
    "round",
    "sgn",
    "sin",
    "sinh",
    "sort",
    "sort_desc",
    "sqrt",
    "tan",
    "tanh",
    "timestamp",
];
const DATES: [&str; 7] =
    ["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month"];
const OF_RANGE: [&str; 19] = [
    "absent_over_time",
    "avg_over_time",
    "changes",
    "count_over_time",
    "delta",
    "deriv",
    "idelta",
    "increase",
    "irate",
    "last_over_time",
    "max_over_time",
    "min_over_time",
    "present_over_time",
    "rate",
    "resets",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
    "year",
];
const VECTORS: [&str; 14] = [
    "http_requests_total",
    "temperature",
    "odd",
    "coming",
    "shape",
    "form",
    "humidity",
    "replicas",
    r#"http_requests_total{job="api"}"#,
    r#"temperature{room!="hall"}"#,
    r#"{__name__=~"shape|form"}"#,
    r#"http_requests_total{code=~"4..|5.."}"#,
    "started_seconds",
    r#"odd{kind!~"nan|.*inf"}"#,
];
const AGGREGATIONS: [&str; 8] = ["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"];
const GROUPINGS: [&str; 8] = [
    "",
    "by (job)",
    "by (job, code)",
    "without (instance)",
    "by ()",
    "without ()",
    "by (room, missing)",
    "without (a, kind)",
];
const COMPUTING: [&str; 7] = ["+", "-", "*", "/", "%", "^", "atan2"];
const COMPARING: [&str; 6] = ["==", "!=", ">", "<", ">=", "<="];
const RANGES: [&str; 6] = ["1m", "5m", "10m", "17m", "30s", "1h"];

/// Each function, aggregation and operator with what it may be given.
pub fn systematic() -> Vec<String> {
    let mut all = Vec::new();
    for function in OF_VECTOR {
        // The date of what is no number is whatever a machine makes of it.
        let odd = if DATES.contains(&function) { "shape" } else { "odd" };
        for vector in [odd, "temperature", "started_seconds", "http_requests_total"] {
            all.push(format!("{function}({vector})"));
        }
    }
    for function in OF_RANGE.iter().filter(|name| **name != "year") {
        for vector in ["odd", "http_requests_total", "coming", "temperature", "relay", "young_total", "shape"]
        {
            all.push(format!("{function}({vector}[7m])"));
        }
        all.push(format!("{function}(temperature[13m:37s])"));
        all.push(format!("{function}(http_requests_total[10m] offset 3m)"));
        all.push(format!("{function}(http_requests_total[10m] @ $T)"));
    }
    for aggregation in AGGREGATIONS {
        for grouping in GROUPINGS {
            all.push(format!("{aggregation} {grouping} (http_requests_total)"));
            let metrics =
                if aggregation.starts_with("std") { "temperature|shape" } else { "odd|temperature|shape" };
            all.push(format!("{aggregation}({{__name__=~\"{metrics}\"}}) {grouping}"));
        }
    }
    for grouping in GROUPINGS {
        all.push(format!("topk {grouping} (2, http_requests_total)"));
        all.push(format!("bottomk {grouping} (3, temperature)"));
        all.push(format!("quantile {grouping} (0.35, http_requests_total)"));
        all.push(format!("count_values {grouping} (\"value\", replicas)"));
    }
    for operator in COMPUTING.iter().chain(&COMPARING) {
        for right in ["2", "odd", "-1.5", "scalar(humidity{room=\"hall\"})"] {
            all.push(format!("odd {operator} {right}"));
            all.push(format!("{right} {operator} temperature"));
        }
        all.push(format!("shape {operator} on (a, b, c) form"));
        all.push(format!("shape {operator} ignoring (b) group_left () form"));
        all.push(format!("temperature {operator} on (room) group_left () humidity"));
        all.push(format!("humidity {operator} on (room) group_right (floor) temperature"));
        all.push(format!(
            "http_requests_total {operator} on (job, instance) group_left (version) build_info"
        ));
    }
    for operator in COMPARING {
        all.push(format!("odd {operator} bool 2"));
        all.push(format!("3 {operator} bool 2"));
        all.push(format!("temperature {operator} bool on (room) humidity"));
    }
    for operator in ["and", "or", "unless"] {
        for matching in ["", "on (a)", "ignoring (b)", "on ()", "on (a, c)"] {
            all.push(format!("shape {operator} {matching} form"));
            all.push(format!("shape {operator} {matching} form > 80"));
        }
        all.push(format!("coming {operator} coming > 100"));
        all.push(format!(
            "rate(http_requests_total[5m]) {operator} rate(http_requests_total{{job=\"api\"}}[5m]) > 1"
        ));
    }
    all
}

/// A small generator of numbers that are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// Expressions of a few levels; the same each time.
pub fn random(count: usize) -> Vec<String> {
    let mut dice = Dice(42);
    let mut all: Vec<String> = (0..count).map(|number| vector(&mut dice, number % 3 + 1)).collect();
    // The versions differ in the deviation of one infinite value, and the date of what is no number is any.
    let has_dates = |query: &str| DATES.iter().any(|name| query.contains(&format!("{name}(")));
    all.retain(|query| !(query.contains("odd") && (query.contains("std") || has_dates(query))));
    all
}

fn moved(dice: &mut Dice) -> &'static str {
    dice.of(&["", "", "", "", " offset 4m", " offset -3m", " @ $T", " @ end()", " @ start() offset 2m"])
}

fn vector(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 {
        return format!("{}{}", dice.of(&VECTORS), moved(dice));
    }
    let depth = depth - 1;
    match dice.below(12) {
        0 | 1 => {
            let range = dice.of(&RANGES);
            format!("{}({}[{range}]{})", dice.of(&OF_RANGE[..18]), dice.of(&VECTORS), moved(dice))
        }
        2 | 3 => {
            let (inner, aggregation) = (vector(dice, depth), dice.of(&AGGREGATIONS));
            format!("{aggregation} {} ({inner})", dice.of(&GROUPINGS))
        }
        4 => format!("{}({})", dice.of(&OF_VECTOR), vector(dice, depth)),
        5 | 6 => {
            let (left, right) = (vector(dice, depth), vector(dice, depth));
            let matching = dice.of(&["", "", "on (job, instance)", "ignoring (code)", "on (room)"]);
            let operator = dice.of(&["+", "-", "*", "/", ">", "<=", "and", "or", "unless"]);
            format!("({left}) {operator} {matching} ({right})")
        }
        7 => {
            let operator = dice.of(&["+", "*", "/", "> bool", "<", "^"]);
            format!(
                "({}) {operator} {}",
                vector(dice, depth),
                dice.of(&["2", "0", "-3.5", "1e3", "NaN", "Inf"])
            )
        }
        8 => {
            let (step, range) = (dice.of(&["31s", "1m", ""]), dice.of(&["10m", "7m", "25m"]));
            let function =
                dice.of(&["max_over_time", "avg_over_time", "sum_over_time", "rate", "deriv", "changes"]);
            // What ranges over ranges begin at would lie on their steps.
            let inner = format!("{}({})", dice.of(&["abs", "ceil", "sum", "max"]), dice.of(&VECTORS));
            format!("{function}(({inner})[{range}:{step}]{})", moved(dice))
        }
        9 => format!("quantile_over_time(0.{}, {}[{}])", dice.below(10), dice.of(&VECTORS), dice.of(&RANGES)),
        10 => format!("clamp({}, -10, {})", vector(dice, depth), dice.of(&["10", "1000", "-20"])),
        _ => format!("-({})", vector(dice, depth)),
    }
}
