//! Names and values for the lists of query editors.

use store::read::Window;

use super::super::{tag_values, tags};
use super::stored::{query, read};

#[test]
fn names_come_by_scope_and_values_with_their_types() {
    let stored = read(
        "1 1 - web GET 1000 500 n=1 ok=true f=0.5 kind=client status=error event=x@1 event.e=1\n\
         2 1 - db GET 1000 500 n=2 v=\"2\" lib=a/1 lib.l=1 link=1/1 link.k=1",
    );
    let scopes = tags(&stored, None, Window::ALL, 10).unwrap();
    let names = |scope: &str| scopes.iter().find(|(name, _)| *name == scope).unwrap().1.join(" ");
    assert_eq!(names("resource"), "service.name");
    assert_eq!(names("span"), "f n ok v");
    assert_eq!(
        (names("event"), names("link"), names("instrumentation")),
        ("e".into(), "k".into(), "l".into())
    );
    assert!(names("intrinsic").contains("span:duration"));
    let of_matching = |text: &str, scope: &str| {
        let scopes = tags(&stored, Some(&query(text)), Window::ALL, 10).unwrap();
        scopes.iter().find(|(name, _)| *name == scope).map(|(_, names)| names.join(" "))
    };
    assert_eq!(of_matching("{ resource.service.name = \"db\" }", "span").as_deref(), Some("n v"));
    assert_eq!(of_matching("{ resource.service.name = \"db\" }", "event"), None);
    assert_eq!(of_matching("{ status = error }", "span").as_deref(), Some("f n ok"));
    assert_eq!(of_matching("{ true }", "span").as_deref(), Some("f n ok v"));
    assert_eq!(of_matching("{ .n > 5 }", "resource").as_deref(), Some(""));
    for (tag, filter, expected) in [
        ("span.n", None, "int 1, int 2"),
        (".n", None, "int 1, int 2"),
        ("span.f", None, "float 0.5"),
        ("span.ok", None, "bool true"),
        ("v", None, "string 2"),
        ("resource.service.name", None, "string db, string web"),
        ("resource.service.name", Some("{ status = error }"), "string web"),
        ("resource.service.name", Some("{ .n > 5 }"), ""),
        ("name", None, "string GET"),
        ("rootServiceName", None, "string db, string web"),
        ("event:name", None, "string x"),
        ("event.e", None, "int 1"),
        ("status", None, "keyword error, keyword ok, keyword unset"),
        ("duration", None, ""),
        (
            "kind",
            Some("{ true }"),
            "keyword client, keyword consumer, keyword internal, keyword producer, keyword server, keyword unspecified",
        ),
        ("span.nothing", None, ""),
    ] {
        let filter = filter.map(query);
        let values = tag_values(&stored, tag, filter.as_ref(), Window::ALL, 10).unwrap();
        let values: Vec<String> = values.into_iter().map(|(kind, value)| format!("{kind} {value}")).collect();
        assert_eq!(values.join(", "), expected, "{tag}");
    }
    assert_eq!(tag_values(&stored, "span.n", None, Window::ALL, 1).unwrap().len(), 1);
}
