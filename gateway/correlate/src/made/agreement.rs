//! Whether a span is of a request that a series counts: of the kind and on the side of the call that the name tells, and with no
//! attribute that says something else than the label of that name.

use std::borrow::Cow;

use parsers::record::{Labels, Span, StatusCode, TENANT, TENANT_LABEL, Value, Workload, attribute};

use super::family::{OPERATIONS, is_told_by_name, measures};
use crate::{LabelMapping, WorkloadField};

/// Names of attributes behind labels that are not the attribute's own name.
const ALIASES: [(&str, &[&str]); 18] = [
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
    ("uri", &["http.route"]),
    ("grpc_method", &["rpc.method"]),
    ("grpc_service", &["rpc.service"]),
    ("db_system", &["db.system.name"]),
    ("db_system_name", &["db.system"]),
    ("db_operation_name", &["db.operation"]),
    ("db_namespace", &["db.name"]),
    ("messaging_destination_name", &["messaging.destination"]),
];
/// Attributes of a request's path, as it came or as a route.
const PATHS: [&str; 4] = ["http.route", "url.path", "http.target", "http.path"];
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

/// How many of the labels the span or its workload confirms, from 0 to 1; `None` if it contradicts one, is of another tenant, or of
/// another kind than the series measures.
pub(super) fn describes(
    labels: &Labels,
    mapping: &LabelMapping,
    workload: &Workload,
    span: &Span,
) -> Option<f64> {
    let name = labels.get("__name__").unwrap_or_default();
    let of_spans = labels.get("span_name").is_some() || labels.get("span_kind").is_some();
    if !measures(labels, span) {
        return None;
    }
    let mut told = of_spans || is_told_by_name(name);
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
                None if OPERATIONS.contains(&label) => operation(span, label, value),
                None => said(span, label, value),
            },
        };
        all += 1;
        told |= says == Says::Same && OPERATIONS.contains(&label);
        match says {
            Says::Same => same += 1,
            Says::Nothing => {}
            Says::Other => return None,
        }
    }
    told.then(|| if all == 0 { 0.0 } else { f64::from(same) / f64::from(all) })
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
    let Some((key, own)) = found else { return Says::Nothing };
    match own {
        // `shop.Cart/Checkout`: the method of a call with its service.
        Value::Str(text) if key.starts_with("rpc.") => {
            Says::same(text == value || text.split('/').any(|part| part == value))
        }
        // promhttp writes methods in small letters.
        Value::Str(text) => Says::same(text.eq_ignore_ascii_case(value)),
        Value::Int(number) => {
            let number = number.to_string();
            Says::same(number == value || is_of_class(&number, value))
        }
        Value::Bool(truth) => Says::same(truth.to_string() == value),
        _ => Says::Nothing,
    }
}

/// `500` is of the class `5xx`.
fn is_of_class(code: &str, class: &str) -> bool {
    let first = class.strip_suffix("xx").or_else(|| class.strip_suffix("XX"));
    code.len() == 3 && first.is_some_and(|first| first.len() == 1 && code.starts_with(first))
}

/// Which operation it is, in words of the application: a path, a route, a span's name or a function.
fn operation(span: &Span, label: &str, value: &str) -> Says {
    let get = |key: &&str| attribute(&span.attributes, key).and_then(Value::as_str);
    let bare = |path: &str| path.split('?').next().unwrap_or_default().trim_matches('/').to_owned();
    let paths: Vec<String> = PATHS.iter().filter_map(get).map(bare).collect();
    let own = VIEWS.iter().filter_map(get).any(|own| own == value || own.rsplit('.').next() == Some(value));
    if span.name == value || own || paths.contains(&bare(value)) {
        Says::Same
    } else if value.starts_with('/') && !paths.is_empty() {
        Says::Other
    } else {
        said(span, label, value)
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

    use parsers::record::{Resource, Scope, SpanId, SpanKind, Spelling, Status, TraceId};

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

    /// Whether an exemplar of a series may be made of a span.
    fn fits(series: &[(&str, &str)], span: &Span) -> bool {
        let labels = Labels::new(series.iter().copied());
        describes(&labels, &LabelMapping::default(), &Workload::default(), span).is_some()
    }

    #[test]
    fn a_name_speaks_of_one_kind_of_span() {
        let of = |kind: SpanKind, attributes: &[(&str, &str)]| Span { kind, ..span("x", attributes) };
        let served = of(SpanKind::Server, &[("http.request.method", "GET"), ("http.route", "/x")]);
        let plain = of(SpanKind::Server, &[]);
        let fetched = of(SpanKind::Client, &[("http.request.method", "GET"), ("server.address", "ext")]);
        let asked = of(SpanKind::Client, &[("db.system", "postgresql"), ("db.operation", "SELECT")]);
        let called = of(SpanKind::Client, &[("rpc.system", "grpc"), ("rpc.service", "Cart")]);
        let answered = of(SpanKind::Server, &[("rpc.system", "grpc"), ("rpc.service", "Cart")]);
        let taken = of(SpanKind::Consumer, &[("messaging.system", "kafka")]);
        let all = [&served, &plain, &fetched, &asked, &called, &answered, &taken];
        let name = |name| [("__name__", name)];
        for (name, expected) in [
            ("http_server_request_duration_seconds_bucket", vec![&served, &plain]),
            ("istio_requests_total", vec![&served, &plain, &answered]),
            ("http_client_request_duration_seconds_bucket", vec![&fetched]),
            ("db_client_operation_duration_seconds_bucket", vec![&asked]),
            ("db_query_duration_seconds_bucket", vec![&asked]),
            ("rpc_client_duration_seconds_bucket", vec![&called]),
            ("rpc_server_duration_seconds_bucket", vec![&answered]),
            ("messaging_process_duration_seconds_bucket", vec![&taken]),
            ("kafka_requests_total", vec![&taken]),
            ("gc_pause_seconds_bucket", vec![]),
            ("kafka_consumer_poll_duration_seconds_bucket", vec![]),
            ("response_cache_hits_total", vec![]),
            ("checkout_duration_seconds_bucket", vec![]),
        ]
        .map(|(text, expected)| (name(text), expected))
        {
            let found: Vec<&Span> = all.into_iter().filter(|span| fits(&name, span)).collect();
            assert_eq!(found, expected, "{name:?}");
        }
        let labelled =
            [("__name__", "db_client_operation_duration_seconds_bucket"), ("db_system_name", "postgresql")];
        assert!(fits(&labelled, &asked));
        let mysql = [labelled[0], ("db_system_name", "mysql")];
        assert!(!fits(&mysql, &asked), "the older attribute says which database");
    }

    #[test]
    fn a_name_of_no_known_kind_needs_a_label_of_the_operation() {
        let served = span("POST /cart", &[("http.route", "cart/"), ("http.request.method", "POST")]);
        let name = ("__name__", "checkout_duration_seconds_bucket");
        for (label, expected) in [
            (("path", "/cart"), true),
            (("path", "/orders"), false),
            (("operation", "POST /cart"), true),
            (("operation", "refund"), false),
            (("method", "POST"), false),
        ] {
            assert_eq!(fits(&[name, label], &served), expected, "{label:?}");
        }
    }

    #[test]
    fn a_class_of_status_holds_its_codes_and_methods_have_no_case() {
        let mut failed = span("x", &[("http.request.method", "POST")]);
        failed.attributes.push(("http.response.status_code".to_owned(), Value::Int(503)));
        let name = ("__name__", "http_requests_total");
        for (label, expected) in [
            (("code", "5xx"), true),
            (("status", "5XX"), true),
            (("code", "503"), true),
            (("code", "2xx"), false),
            (("code", "50x"), false),
            (("method", "post"), true),
            (("method", "get"), false),
        ] {
            assert_eq!(fits(&[name, label], &failed), expected, "{label:?}");
        }
    }
}
