use proptest::prelude::*;

use parsers::record::Labels;
use regex::Regex;

use super::*;
use crate::samples::index::Index;

fn label() -> impl Strategy<Value = (String, String)> {
    ("[a-c]", "[a-d]{0,2}")
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let text = prop_oneof![Just(String::new()), "[a-d]{0,2}"];
    let pattern = prop_oneof![
        Just(".*"),
        Just(".+"),
        Just(""),
        Just("a|b"),
        Just("a.*"),
        Just("(a|)"),
        Just("[ab]?"),
        Just("dd|"),
        Just("b."),
        Just("a|bb|dd|a"),
        Just("(b|cc)"),
        Just("(a)(b)"),
        Just(r"a|\w"),
        Just(r"a\-|b"),
    ];
    ("[a-d]", 0u8..12, text, pattern).prop_map(|(name, op, value, pattern)| {
        let (op, flag) = (op % 6, if op < 6 { "s" } else { "" });
        let regex = || Regex::new(&format!("^(?{flag}:{pattern})$")).unwrap();
        let op = match op {
            0 => MatchOp::Equal(value),
            1 => MatchOp::NotEqual(value),
            2 => MatchOp::Regex(regex()),
            3 => MatchOp::NotRegex(regex()),
            4 => MatchOp::OneOf(vec![value, "bb".to_owned()]),
            _ => MatchOp::NoneOf(vec![value, "bb".to_owned()]),
        };
        Matcher { name, op }
    })
}

proptest! {
    #[test]
    fn an_index_finds_what_a_look_at_every_series_finds(
        sets in proptest::collection::vec(proptest::collection::vec(label(), 0..4), 0..40),
        selectors in proptest::collection::vec(proptest::collection::vec(matcher(), 0..4), 0..3),
    ) {
        let mut index = Index::default();
        let mut series: Vec<Labels> = Vec::new();
        for set in sets {
            let labels = Labels::new(set.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let (hash, found) = index.find(&labels);
            prop_assert_eq!(found, series.iter().position(|known| *known == labels).map(|at| at as u32));
            if found.is_none() {
                prop_assert_eq!(index.add(&labels, hash), series.len() as u32);
                series.push(labels);
            }
        }
        for (number, labels) in series.iter().enumerate() {
            prop_assert_eq!(&index.labels(number as u32), labels);
        }
        let numbers = |wanted: &dyn Fn(&Labels) -> bool| -> Vec<u32> {
            (0..series.len() as u32).filter(|n| wanted(&series[*n as usize])).collect()
        };
        for matchers in &selectors {
            let naive = numbers(&|labels| matchers.iter().all(|m| m.matches(labels)));
            prop_assert_eq!(resolve(&index, matchers).unwrap(), naive);
        }
        let any = numbers(&|labels| {
            selectors.is_empty() || selectors.iter().any(|all| all.iter().all(|m| m.matches(labels)))
        });
        prop_assert_eq!(resolve_any(&index, &selectors).unwrap(), any);
    }
}

#[test]
fn a_list_of_values_is_known_as_such_and_nothing_else_is() {
    let values = |pattern: &str| {
        let regex = Regex::new(&format!("^(?s:{pattern})$")).unwrap();
        alternatives::alternatives(&regex)
    };
    let list = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
    assert_eq!(values("cart"), list(&["cart"]));
    assert_eq!(values(r"(shop/cart|a\.b\\c)"), list(&["shop/cart", r"a.b\c"]));
    for pattern in
        ["a.", "(a|b)(c|d)", r"\d|a", r"a\b", r"\<a", "a{2}", "[ab]", "(?i)a", "(.*/)?(a|b)", "^a$"]
    {
        assert_eq!(values(pattern), None, "{pattern}");
    }
    assert_eq!(alternatives::alternatives(&Regex::new("a|b").unwrap()), None, "it is not anchored");
}
