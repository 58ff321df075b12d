//! Whether a span is of a request that a series counts: on the side of the call that the name tells, and with no attribute that
//! says something else than the label of that name.

use std::borrow::Cow;

use parsers::record::{Labels, Span, SpanKind, StatusCode, TENANT, TENANT_LABEL, Value, Workload, attribute};

use crate::{LabelMapping, WorkloadField};

/// Names of attributes behind labels that are not the attribute's own name.
const ALIASES: [(&str, &[&str]); 10] = [
    ("method", &["http.request.method", "http.method", "rpc.method"]),
    ("http_method", &["http.request.method", "http.method"]),
    ("status", &["http.response.status_code", "http.status_code"]),
    ("code", &["http.response.status_code", "http.status_code"]),
    ("status_code", &["http.response.status_code", "http.status_code"]),
    ("http_status_code", &["http.response.status_code", "http.status_code"]),
    ("http_response_status_code", &["http.status_code"]),
    ("http_request_method", &["http.method"]),
    ("route", &["http.route"]),
    ("handler", &["http.route"]),
];
/// Attributes that name the function behind a route.
const VIEWS: [&str; 4] = ["django.view", "http.view", "code.function.name", "code.function"];
/// What Django REST Framework and class-based views add to the name of what they show.
const ENDINGS: [&str; 9] =
    ["list", "detail", "view", "index", "create", "update", "delete", "retrieve", "destroy"];

/// What a span says of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// The same.
    Same,
    /// Nothing.
    Nothing,
    /// Something else.
    Other,
}

impl Says {
    fn same(same: bool) -> Self {
        if same { Self::Same } else { Self::Other }
    }
}

/// How many of the labels the span or its workload confirms, from 0 to 1; `None` if it contradicts one, or is of another tenant.
pub(super) fn describes(
    labels: &Labels,
    mapping: &LabelMapping,
    workload: &Workload,
    span: &Span,
) -> Option<f64> {
    let name = labels.get("__name__").unwrap_or_default();
    let of_spans = labels.get("span_name").is_some() || labels.get("span_kind").is_some();
    let side = if name.contains("client") {
        matches!(span.kind, SpanKind::Client | SpanKind::Producer)
    } else {
        matches!(span.kind, SpanKind::Server | SpanKind::Consumer)
    };
    if !side && !of_spans {
        return None;
    }
    // Never across tenants; a series that is scraped, or another server's, may not say whose it is.
    let tenant = attribute(&span.resource.attributes, TENANT).and_then(Value::as_str);
    if labels.get(TENANT_LABEL).is_some_and(|of| Some(of) != tenant) {
        return None;
    }
    let (mut same, mut all) = (0u32, 0u32);
    for (label, value) in labels.iter().filter(|(name, _)| !["__name__", TENANT_LABEL].contains(name)) {
        let says = match label {
            "span_name" => Says::same(span.name == value),
            "span_kind" => Says::same(
                value.rsplit('_').next().is_some_and(|kind| kind.eq_ignore_ascii_case(span.kind.as_str())),
            ),
            "status_code" if of_spans => {
                let code = value.rsplit('_').next().unwrap_or_default();
                let unset = span.status.code == StatusCode::Unset && code.is_empty();
                Says::same(code.eq_ignore_ascii_case(span.status.code.as_str()) || unset)
            }
            "view" => view(span, value),
            label => match mapped(mapping, label) {
                // Which workload it is was compared already.
                Some(field) => match field.of(workload) {
                    Some(own) if value == own || value.rsplit('/').next() == Some(own) => Says::Same,
                    _ => Says::Nothing,
                },
                None => said(span, label, value),
            },
        };
        all += 1;
        match says {
            Says::Same => same += 1,
            Says::Nothing => {}
            Says::Other => return None,
        }
    }
    Some(if all == 0 { 0.0 } else { f64::from(same) / f64::from(all) })
}

/// The field of a workload that a label tells.
fn mapped(mapping: &LabelMapping, label: &str) -> Option<WorkloadField> {
    let row = mapping.rows.iter().find(|(_, names)| names.iter().any(|name| name == label));
    row.map(|(field, _)| *field)
}

fn said(span: &Span, label: &str, value: &str) -> Says {
    let aliases =
        ALIASES.iter().find(|(name, _)| *name == label).map(|(_, names)| *names).unwrap_or_default();
    let same = |key: &str| {
        key.len() == label.len()
            && key.bytes().zip(label.bytes()).all(|(k, l)| k == l || (l == b'_' && matches!(k, b'.' | b'-')))
    };
    let found = span.attributes.iter().find(|(key, _)| same(key) || aliases.contains(&key.as_str()));
    match found.map(|(_, said)| said) {
        Some(Value::Str(text)) => Says::same(text == value),
        Some(Value::Int(number)) => Says::same(number.to_string() == value),
        Some(Value::Bool(truth)) => Says::same(truth.to_string() == value),
        _ => Says::Nothing,
    }
}

/// django-prometheus names views as `urls.py` does (`shop:order-detail`), spans name their routes (`orders/<int:pk>/`).
fn view(span: &Span, value: &str) -> Says {
    if value.starts_with('<') || value.is_empty() {
        return Says::Nothing;
    }
    let own = VIEWS.iter().find_map(|key| attribute(&span.attributes, key).and_then(Value::as_str));
    let last = |text: &str| text.rsplit([':', '.']).next().unwrap_or_default().to_ascii_lowercase();
    let name = last(value);
    if own.is_some_and(|own| own == value || last(own) == name) {
        return Says::Same;
    }
    let route = attribute(&span.attributes, "http.route").and_then(Value::as_str);
    let route =
        route.map_or(Cow::Borrowed(span.name.as_str()), |route| Cow::Owned(format!("{route} {}", span.name)));
    let route = words(&route);
    if route.is_empty() {
        return Says::Nothing;
    }
    let named = words(&name);
    let all: Vec<&String> = named.iter().filter(|word| !ENDINGS.contains(&word.as_str())).collect();
    let holds = |word: &&String| route.iter().any(|other| is_same_word(word, other));
    let fits = if all.is_empty() { named.iter().all(|word| holds(&word)) } else { all.iter().all(holds) };
    Says::same(fits)
}

/// Of a route or a name, without its parameters.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0u32;
    for c in text.chars() {
        match c {
            '<' | '{' | '(' => depth += 1,
            '>' | '}' | ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            c if c.is_alphanumeric() => {
                if let Some(word) = words.last_mut() {
                    word.extend(c.to_lowercase());
                }
                continue;
            }
            _ => {}
        }
        words.push(String::new());
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_same_word(a: &str, b: &str) -> bool {
    a == b || a.strip_suffix('s') == Some(b) || b.strip_suffix('s') == Some(a)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parsers::record::{Resource, Scope, SpanId, Spelling, Status, TraceId};

    use super::*;

    fn span(name: &str, attributes: &[(&str, &str)]) -> Span {
        let text = |text: &str| Value::Str(text.to_owned());
        Span {
            trace_id: TraceId::new(1, Spelling::default()).unwrap(),
            span_id: SpanId::new(1).unwrap(),
            parent_span_id: None,
            trace_state: String::new(),
            flags: 0,
            name: name.to_owned(),
            kind: SpanKind::Server,
            start: 0,
            end: 1,
            attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect(),
            events: Vec::new(),
            links: Vec::new(),
            status: Status::default(),
            resource: Arc::new(Resource::default()),
            scope: Arc::new(Scope::default()),
        }
    }

    #[test]
    fn views_and_routes_are_the_same_in_other_words() {
        for (value, name, route, expected) in [
            ("checkout", "POST", "cart/checkout/", Says::Same),
            ("shop:order-detail", "GET", "orders/<int:order_id>/", Says::Same),
            ("shop.views.slow", "GET slow", "", Says::Same),
            ("order-list", "GET", "carts/", Says::Other),
            ("order_id", "GET", "orders/<int:order_id>/", Says::Other),
            ("<unnamed view>", "GET", "orders/", Says::Nothing),
            ("index", "GET index", "", Says::Same),
        ] {
            let span = span(name, &[("http.route", route)]);
            assert_eq!(view(&span, value), expected, "{value} {name} {route}");
        }
        assert_eq!(view(&span("GET", &[("code.function", "shop.views.pay")]), "pay"), Says::Same);
    }
}
