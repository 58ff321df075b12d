//! Names of tenants, and that every surface reads as the tenant who asks.

use std::path::Path;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use parsers::record::{Labels, LogRecord, Severity, Span, TENANT, Value};

use super::{HEADER, Tenants};
use crate::fakes::{Memory, ask, get_with, span, state};

fn of(values: &[&str]) -> Result<Option<Vec<String>>, String> {
    let headers: HeaderMap =
        values.iter().map(|value| (HEADER.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect();
    Ok(Tenants::of(&headers)?.map(|tenants| tenants.names.to_vec()))
}

#[test]
fn names_are_read_as_loki_reads_them() {
    let names = |list: &[&str]| Ok(Some(list.iter().map(|name| (*name).to_owned()).collect()));
    for (values, expected) in [
        (&[][..], Ok(None)),
        (&[""], Ok(None)),
        (&["|"], Ok(None)),
        (&["one"], names(&["one"])),
        (&["one", "one"], names(&["one"])),
        (&["two|one|two"], names(&["one", "two"])),
        (&["a.b_c-d!*'()"], names(&["a.b_c-d!*'()"])),
    ] {
        assert_eq!(of(values), expected, "{values:?}");
    }
    let long = "x".repeat(151);
    let many: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    for values in [&["one", "two"][..], &["a b"], &[".."], &[&long], &[&many.join("|")], &["a{b"], &["a,b"]] {
        assert!(of(values).unwrap_err().starts_with("bad X-Scope-OrgID: "), "{values:?}");
    }
}

#[test]
fn several_names_are_one_condition() {
    let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), HeaderValue::from_static("a.b|c(d)*"))]);
    let tenants = Tenants::of(&headers).unwrap().unwrap();
    let matches = |name| tenants.matcher.0.matches(&Labels::new([("__tenant_id__", name)]));
    assert!(matches("a.b") && matches("c(d)*"));
    assert!(!matches("axb") && !matches("cd") && !matches("") && !matches("a.bc(d)*"));
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_in_the_surfaces_own_form() {
    let bad = [("X-Scope-OrgID", "a b")];
    for (path, begins) in [
        ("/loki/api/v1/labels", "bad X-Scope-OrgID"),
        ("/tempo/api/search", "bad X-Scope-OrgID"),
        ("/zipkin/api/v2/services", "bad X-Scope-OrgID"),
        ("/jaeger/api/services", "{\"data\":null,\"errors\":[{\"code\":400,\"msg\":\"bad X-Scope-OrgID"),
        ("/prometheus/api/v1/labels", "{\"error\":\"bad X-Scope-OrgID"),
        ("/api/v1/traces/00000000000000000000000000000001", "{\"error\":\"bad X-Scope-OrgID"),
    ] {
        let (status, body) = get_with(path, &bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {body}");
        assert!(body.starts_with(begins), "{path}: {body}");
    }
}

fn sent(tenant: Option<&str>, service: &str) -> Span {
    let mut span = span("0000000000000000000000000000000a", "000000000000000b", service, "GET", 1, 2);
    let mut resource = (*span.resource).clone();
    resource.attributes.extend(tenant.map(|name| (TENANT.to_owned(), Value::Str(name.to_owned()))));
    span.resource = Arc::new(resource);
    span
}

fn logged(tenant: Option<&str>, app: &str) -> LogRecord {
    LogRecord {
        time: 1_000_000_000,
        labels: Arc::new(Labels::new([("app", app)])),
        line: app.as_bytes().to_vec(),
        metadata: tenant.map(|name| (TENANT.to_owned(), name.to_owned())).into_iter().collect(),
        severity: Severity::Unknown,
        observed: 1_000_000_000,
        trace_id: None,
        span_id: None,
        source: None,
        rule: None,
    }
}

#[tokio::test]
async fn a_request_reads_what_is_of_its_tenants() {
    let memory = || {
        let tenants = [Some("one"), Some("two"), None];
        let names = ["first", "second", "nobodys"];
        let spans = tenants.into_iter().zip(names).map(|(tenant, name)| sent(tenant, name)).collect();
        let logs = tenants.into_iter().zip(names).map(|(tenant, name)| logged(tenant, name)).collect();
        Arc::new(Memory { logs, spans, ..Memory::default() })
    };
    for (tenant, expected) in [
        (Some("one"), vec!["first"]),
        (Some("two|one"), vec!["first", "second"]),
        (Some("three"), vec![]),
        (None, vec!["first", "nobodys", "second"]),
    ] {
        let headers: Vec<(&str, &str)> = tenant.map(|tenant| ("X-Scope-OrgID", tenant)).into_iter().collect();
        for (path, shape) in [
            ("/loki/api/v1/label/app/values?start=0&end=2000000000", "\"NAME\""),
            ("/loki/api/v1/series?start=0&end=2000000000", "\"NAME\""),
            ("/loki/api/v1/query_range?query=%7Bapp%3D~%22.%2B%22%7D&start=0&end=5000000000", "\"NAME\""),
            ("/jaeger/api/services", "\"NAME\""),
            ("/jaeger/api/traces/a", "\"NAME\""),
            ("/zipkin/api/v2/services", "\"NAME\""),
            ("/zipkin/api/v2/trace/a", "\"NAME\""),
            ("/tempo/api/v2/search/tag/resource.service.name/values?start=0&end=1", "\"NAME\""),
            ("/api/v1/traces/0000000000000000000000000000000a", "\"NAME\""),
        ] {
            let memory = memory();
            let (_, body) = ask(state(memory.clone(), memory), path, &headers).await;
            for name in ["first", "second", "nobodys"] {
                let shown = body.contains(&shape.replace("NAME", name));
                assert_eq!(shown, expected.contains(&name), "{tenant:?} {path} {name}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn counts_of_what_was_read_are_of_the_tenant() {
    let spans = vec![sent(Some("one"), "shop"), sent(Some("two"), "shop"), sent(None, "shop")];
    let logs = vec![logged(Some("one"), "shop"), logged(Some("two"), "shop"), logged(None, "shop")];
    let memory = Arc::new(Memory { logs, spans, ..Memory::default() });
    for (tenant, count) in [("one", 1), ("three", 0)] {
        for by_header in [true, false] {
            let header = ("X-Scope-OrgID", tenant);
            let headers = by_header.then_some(header);
            let named = if by_header { String::new() } else { format!("&tenant={tenant}") };
            let get = async |path: &str| {
                let path = format!("/api/v1/{path}?service=shop&start=0&end=5{named}");
                let (_, body) = ask(state(memory.clone(), memory.clone()), &path, headers.as_slice()).await;
                serde_json::from_str::<serde_json::Value>(&body).unwrap()
            };
            let patterns = get("patterns").await;
            assert_eq!(patterns["window"]["spans"], count, "{tenant} {by_header} {patterns}");
            assert_eq!(patterns["window"]["lines"], count, "{tenant} {by_header} {patterns}");
            let related = get("correlate").await;
            let looked = &related["looked_at"];
            assert_eq!(looked["spans"], count, "{tenant} {by_header} {looked}");
            assert_eq!(looked["lines"], count, "{tenant} {by_header} {looked}");
        }
    }
}

#[tokio::test]
async fn a_tenant_is_a_label_that_queries_can_name() {
    let logs = vec![logged(Some("red"), "first"), logged(Some("blue"), "second")];
    let memory = Arc::new(Memory { logs, ..Memory::default() });
    let get = async |path: String| {
        let (status, body) = ask(state(memory.clone(), memory.clone()), &path, &[]).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    };
    let window = "start=0&end=5000000000";
    let all = "%7Bapp%3D~%22.%2B%22%7D";
    let found =
        get(format!("/loki/api/v1/query_range?query={all}%7Ctrefoil_tenant%3D%22red%22&{window}")).await;
    assert!(found.contains(r#""trefoil_tenant":"red""#) && !found.contains("second"), "{found}");
    let sums = format!("sum%20by(trefoil_tenant)(count_over_time({all}%5B9s%5D))");
    let found = get(format!("/loki/api/v1/query?query={sums}&time=5")).await;
    assert!(found.contains(r#"{"trefoil_tenant":"blue"}"#), "{found}");
    let fields = get(format!("/loki/api/v1/detected_fields?query={all}&{window}")).await;
    assert!(fields.contains("trefoil_tenant") && !fields.contains("trefoil.tenant"), "{fields}");
}

/// Whoever takes axum's own state reads what is of all tenants.
#[test]
fn what_reads_records_takes_the_state_of_the_tenant() {
    let allowed = ["bounds.rs", "own.rs", "admin", "collect", "grafana", "scrape", "tenant"];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let within = path.strip_prefix(&source).unwrap();
            if allowed.iter().any(|part| within.starts_with(part)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let imported = text
                    .lines()
                    .any(|line| line.contains("State as ") || line.contains("axum::extract::State"));
                assert!(!imported, "{}: use crate::tenant::Extract", within.display());
            }
        }
    }
}
