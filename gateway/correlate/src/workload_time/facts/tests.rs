use super::*;

fn said(line: &str, metadata: &[(&str, &str)]) -> Vec<String> {
    let facts = of_line(line.as_bytes(), metadata.iter().copied());
    facts.iter().map(|f| format!("{:?}={}", f.kind, f.value)).collect()
}

#[test]
fn fields_of_all_spellings_are_about_the_same_thing() {
    for key in ["requestId", "request_id", "x-request-id", "guid:x-request-id"] {
        assert_eq!(kind(key), Some(Kind::Request), "{key}");
    }
    assert_eq!(kind("order.id"), kind("orderId"));
    assert_ne!(kind("order.id"), kind("cart.id"));
    assert_eq!(kind("level"), None);
}

#[test]
fn a_captured_header_is_a_list_of_values() {
    let of = |value: &Value| {
        let mut facts = Vec::new();
        of_attribute("http.request.header.x-request-id", &value.into(), &mut facts);
        facts.into_iter().map(|fact| (fact.kind, fact.value)).collect::<Vec<_>>()
    };
    let text = |text: &str| Value::Str(text.to_owned());
    let request = |id: &str| (Kind::Request, SmolStr::new(id));
    assert_eq!(of(&Value::Array(vec![text("a-1")])), [request("a-1")]);
    assert_eq!(
        of(&Value::Array(vec![text("a-1"), Value::Int(7), Value::Bool(true)])),
        [request("a-1"), request("7")]
    );
    assert_eq!(of(&Value::Array(vec![text("x"); 1_000])), [request("x")]);
    assert_eq!(of(&Value::Array((0..1_000).map(Value::Int).collect())).len(), MAX_LISTED);
}

#[test]
fn json_is_read_as_far_as_people_write_it() {
    let deep =
        |levels: usize| format!("{}{{\"req_id\":\"abc\"}}{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert_eq!(said(&deep(3), &[]), ["Request=abc"]);
    assert!(said(&deep(4), &[]).is_empty());
    // Keys and values with escapes, and what is of no kind that says anything.
    let line = r#"{"user":[{"userId":"u-7"}],"ok":true,"x":null,"took":1.5,"req\u005fid":"a\tb","pid":-7,"status":200}"#;
    assert_eq!(said(line, &[]), ["Request=a\tb", "Process=-7", "Status=200"]);
    // Of a key that comes twice the last one counts, objects within it, too.
    let line = r#"{"pid":1,"a":{"user":"x","req_id":"q"},"user":"anonymous","status":500,"a":{"req_id":"r"},"status":200,"user":"u-7"}"#;
    assert_eq!(said(line, &[]), ["Process=1", "Request=r", "Status=200", "User=u-7"]);
    // What is no object to its end is a text, of which nothing is known twice.
    let behind = r#"{"req_id":"abc","status":200} GET /cart HTTP/1.1 200"#;
    let of_text = ["Thread=exec-1", "Method=GET", "Path=/cart", "Status=200"];
    assert_eq!(said(behind, &[("thread", "exec-1")]), of_text);
    assert_eq!(
        said(r#"{"req_id":"abc","status":200, GET /cart HTTP/1.1 200"#, &[("thread", "exec-1")]),
        of_text
    );
}

#[test]
fn json_logfmt_text_and_metadata_are_read() {
    let json = r#"{"level":"info","user":{"userId":"u-7"},"path":"/cart/9?x=1","took":1.5}"#;
    assert_eq!(said(json, &[("thread", "exec-1")]), ["Thread=exec-1", "User=u-7", "Path=/cart/9"]);
    assert_eq!(said("level=info req_id=abc status=200", &[]), ["Request=abc", "Status=200"]);
    let envoy =
        r#"[2025-10-09T08:53:20.123Z] "GET /cart/9 HTTP/1.1" 503 - "84961386-6d84-929d-98bd-c5aee93b5c88""#;
    assert_eq!(
        said(envoy, &[]),
        [
            "Method=GET",
            "Path=/cart/9",
            "Status=503",
            "Token=84961386-6d84-929d-98bd-c5aee93b5c88",
            "Bracket=2025-10-09T08:53:20.123Z"
        ]
    );
    let spring = said("2026 INFO [http-nio-8080-exec-3] s.cart : GET of nothing", &[]);
    assert_eq!(spring, ["Token=http-nio-8080-exec-3", "Bracket=http-nio-8080-exec-3"]);
}

#[test]
fn an_access_log_says_how_long_its_request_took() {
    let envoy =
        r#"[2025-10-09T08:53:20.123Z] "GET /a HTTP/1.1" 503 - via_upstream - "-" 0 178 45 44 "-" "curl/8""#;
    assert_eq!(lasts(envoy.as_bytes()), Some(45_000_000));
    let json = br#"{"start_time":"2025-10-09T08:53:20.123Z","path":"/a","response_code":200,"duration":30}"#;
    assert_eq!(lasts(json), Some(30_000_000));
    for other in [r#""GET /a HTTP/1.1" 200 12 "-" "curl/8""#, "{}", "", " HTTP/"] {
        assert_eq!(lasts(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn a_route_is_the_paths_that_it_stands_for() {
    for route in ["/users/{id}/cart", "/users/:id/cart", "/users/<int:id>/cart", "/users/7/cart"] {
        assert!(same(Kind::Path, "/users/7/cart", route), "{route}");
    }
    assert!(!same(Kind::Path, "/users/7", "/users/{id}/cart"));
    assert!(!same(Kind::Path, "/orders/7/cart", "/users/{id}/cart"));
}

#[test]
fn lines_that_differ_in_numbers_have_one_template() {
    assert_eq!(template(b"took 12 ms for u-7"), template(b"took 900 ms for u-9"));
    assert_ne!(template(b"took 12 ms"), template(b"cache missed"));
}

proptest::proptest! {
    #[test]
    fn any_line_is_read_within_bounds(line in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        proptest::prop_assert!(of_line(&line, std::iter::empty()).len() <= MAX_FACTS);
        template(&line);
    }
}
