//! Queries at random: what is written reads back, and no text makes the reader fail otherwise than by refusing.

use parsers::record::{SpanKind, StatusCode};
use proptest::prelude::*;

use super::super::ast::*;
use super::super::names::{INTRINSICS, SET_OPS};
use super::super::{from_tags, parse};

fn literal() -> impl Strategy<Value = Static> {
    prop_oneof![
        (0..i64::MAX).prop_map(Static::Int),
        (0.0..1e300f64).prop_map(Static::Float),
        (0..i64::MAX).prop_map(Static::Duration),
        "\\PC{0,8}".prop_map(Static::Str),
        "[a-z\"\\\\\n\t ]{0,8}".prop_map(Static::Str),
        any::<bool>().prop_map(Static::Bool),
        (0..3u8).prop_map(|code| Static::Status(StatusCode::from_code(code))),
        (0..6u8).prop_map(|code| Static::Kind(SpanKind::from_code(code))),
        Just(Static::Nil),
    ]
}

fn number() -> impl Strategy<Value = Static> {
    prop_oneof![(0..i64::MAX).prop_map(Static::Int), (0.0..1e300f64).prop_map(Static::Float)]
}

pub(super) fn field() -> impl Strategy<Value = Field> {
    let scopes = prop::sample::select(vec![
        (Scope::Any, false),
        (Scope::Span, false),
        (Scope::Resource, false),
        (Scope::Event, false),
        (Scope::Link, false),
        (Scope::Instrumentation, false),
        (Scope::Any, true),
        (Scope::Span, true),
        (Scope::Resource, true),
    ]);
    let name =
        prop_oneof!["[a-z]{1,4}(\\.[a-z]{1,4}){0,2}", "\\PC{1,6}", "(span|resource)\\.[a-z]", "[0-9][a-z]",];
    prop_oneof![
        (scopes, name).prop_map(|((scope, parent), name)| Field::Attribute { scope, parent, name }),
        prop::sample::select(INTRINSICS.map(|(intrinsic, _)| intrinsic).to_vec()).prop_map(Field::Intrinsic),
    ]
}

fn attribute() -> impl Strategy<Value = Expr> {
    field().prop_filter("any type", |field| matches!(field, Field::Attribute { .. })).prop_map(Expr::Field)
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessEqual,
        Comparison::Greater,
        Comparison::GreaterEqual,
    ])
}

fn arithmetic() -> impl Strategy<Value = Arithmetic> {
    prop::sample::select(vec![
        Arithmetic::Add,
        Arithmetic::Sub,
        Arithmetic::Mul,
        Arithmetic::Div,
        Arithmetic::Mod,
        Arithmetic::Pow,
    ])
}

fn boxed(op: Operator, left: Expr, right: Expr) -> Expr {
    Expr::Binary(op, Box::new(left), Box::new(right))
}

/// Numbers of a span.
fn quantity() -> impl Strategy<Value = Expr> {
    prop_oneof![attribute(), number().prop_map(Expr::Static)].prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (arithmetic(), inner.clone(), inner.clone()).prop_map(|(op, a, b)| boxed(
                Operator::Arithmetic(op),
                a,
                b
            )),
            inner.prop_map(|a| Expr::Negative(Box::new(a))),
        ]
    })
}

pub(super) fn condition() -> impl Strategy<Value = Expr> {
    let equal = prop::sample::select(vec![Comparison::Equal, Comparison::NotEqual]);
    let leaf = prop_oneof![
        any::<bool>().prop_map(|truth| Expr::Static(Static::Bool(truth))),
        attribute(),
        (equal, attribute(), literal()).prop_map(|(op, a, b)| boxed(
            Operator::Compare(op),
            a,
            Expr::Static(b)
        )),
        (comparison(), quantity(), quantity()).prop_map(|(op, a, b)| boxed(Operator::Compare(op), a, b)),
        (attribute(), "[a-z.*|]{0,6}", any::<bool>()).prop_filter_map("a regex", |(a, text, not)| {
            regex::Regex::new(&text).ok()?;
            let op = if not { Operator::NotMatch } else { Operator::Match };
            Some(boxed(op, a, Expr::Static(Static::Str(text))))
        }),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| boxed(Operator::And, a, b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| boxed(Operator::Or, a, b)),
            inner.prop_map(|a| Expr::Not(Box::new(a))),
        ]
    })
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    let of = prop::sample::select(vec![
        AggregateFunction::Min,
        AggregateFunction::Max,
        AggregateFunction::Avg,
        AggregateFunction::Sum,
    ]);
    prop_oneof![
        Just(Aggregate { function: AggregateFunction::Count, of: None }),
        (of, attribute()).prop_map(|(function, of)| Aggregate { function, of: Some(of) }),
    ]
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        number().prop_map(Scalar::Static),
        number().prop_map(Scalar::Negative),
        aggregate().prop_map(Scalar::Aggregate),
    ]
    .prop_recursive(3, 8, 2, |inner| {
        (arithmetic(), inner.clone(), inner)
            .prop_map(|(op, a, b)| Scalar::Arithmetic(op, Box::new(a), Box::new(b)))
    })
}

fn spans() -> impl Strategy<Value = Spans> {
    let ops = prop::sample::select(SET_OPS.map(|(_, op)| op).to_vec());
    condition().prop_map(Spans::Where).prop_recursive(3, 8, 2, move |inner| {
        prop_oneof![
            (ops.clone(), inner.clone(), inner.clone()).prop_map(|(op, a, b)| Spans::Join(
                op,
                Box::new(a),
                Box::new(b)
            )),
            (inner, stages()).prop_map(|(a, rest)| {
                let mut all = vec![Stage::Spans(a), Stage::Coalesce];
                all.extend(rest);
                Spans::Pipeline(Pipeline(all))
            }),
        ]
    })
}

fn stages() -> impl Strategy<Value = Vec<Stage>> {
    let filter = (aggregate(), comparison(), scalar()).prop_map(|(aggregate, op, right)| {
        Stage::Filter(ScalarFilter { left: Scalar::Aggregate(aggregate), op, right })
    });
    let stage = prop_oneof![
        condition().prop_map(|expr| Stage::Spans(Spans::Where(expr))),
        filter,
        field().prop_map(|field| Stage::By(Expr::Field(field))),
        Just(Stage::Coalesce),
        prop::collection::vec(field(), 1..4).prop_map(Stage::Select),
    ];
    prop::collection::vec(stage, 0..3)
}

fn metrics() -> impl Strategy<Value = Metrics> {
    let over = prop::sample::select(vec![OverTime::Min, OverTime::Max, OverTime::Avg, OverTime::Sum]);
    let function = prop_oneof![
        Just(MetricsFunction::Rate),
        Just(MetricsFunction::CountOverTime),
        (over, field()).prop_map(|(function, field)| MetricsFunction::OverTime(function, field)),
        (field(), prop::collection::vec(0.0..1.0f64, 1..3))
            .prop_map(|(field, quantiles)| MetricsFunction::Quantile(field, quantiles)),
        field().prop_map(MetricsFunction::Histogram),
    ];
    let second = prop_oneof![
        (1..100usize).prop_map(SecondStage::TopK),
        (1..100usize).prop_map(SecondStage::BottomK),
        (comparison(), -1e9..1e9f64).prop_map(|(op, bound)| SecondStage::Compare(op, bound)),
    ];
    (function, prop::collection::vec(field(), 0..3), prop::collection::vec(second, 0..3))
        .prop_map(|(function, by, then)| Metrics { function, by, then })
}

fn query() -> impl Strategy<Value = Query> {
    let hints = prop::collection::vec(("[a-z_]{1,8}", literal()), 0..3);
    (spans(), stages(), prop::option::of(metrics()), hints).prop_map(|(spans, rest, metrics, hints)| {
        let mut stages = vec![Stage::Spans(spans)];
        stages.extend(rest);
        Query { pipeline: Pipeline(stages), metrics, hints }
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(query in query()) {
        let text = query.to_string();
        prop_assert_eq!(parse(&text).map_err(|error| error.to_string()), Ok(query), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(
        text in "\\PC{0,80}",
        pieces in "[{}()|&=!~<>\"`a-z0-9,.:+*/^% -]{0,200}",
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        for text in [&text, &pieces, &*String::from_utf8_lossy(&bytes)] {
            let _ = parse(text);
            let _ = from_tags(text, None, None);
        }
    }

    #[test]
    fn damaged_queries_are_read_or_refused(query in query(), at in any::<prop::sample::Index>(), length in 0..9usize) {
        let text: Vec<char> = query.to_string().chars().collect();
        let at = at.index(text.len());
        let cut: String = text[..at].iter().chain(text.iter().skip(at + length)).collect();
        let _ = parse(&cut);
    }
}
