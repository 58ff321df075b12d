//! What Grafana makes of `$` in a provisioning file: `$$` is one `$`, and a single one begins a variable of its environment. A link
//! whose own variable is written with a single `$` arrives without it.

/// Names after `$__` that Grafana fills in from its environment, its files and its vault.
const FILLED_IN: [&str; 3] = ["env{", "file{", "vault{"];

/// A text as Grafana holds it after reading, and the first of the links' own variables that it lost on the way.
///
/// Variables of the environment stay as they are written: whoever reads this here has another environment.
pub(super) fn read(text: &str) -> (String, Option<String>) {
    let mut lost = None;
    let parts: Vec<String> = text
        .split("$$")
        .map(|part| {
            let mut kept = String::new();
            let mut rest = part;
            while let Some((before, after)) = rest.split_once('$') {
                kept.push_str(before);
                let (name, end) = name(after);
                if is_of_a_link(after, name) {
                    lost.get_or_insert_with(|| format!("${}", after.get(..end).unwrap_or_default()));
                } else {
                    kept.push('$');
                    kept.push_str(after.get(..end).unwrap_or_default());
                }
                rest = after.get(end..).unwrap_or_default();
            }
            kept.push_str(rest);
            kept
        })
        .collect();
    (parts.join("$"), lost)
}

/// The name after a `$`, and where what belongs to it ends.
fn name(after: &str) -> (&str, usize) {
    match after.strip_prefix('{') {
        Some(inner) => inner.find('}').map_or((inner, after.len()), |end| (&inner[..end], end + 2)),
        None => {
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
            (&after[..end], end)
        }
    }
}

/// Variables of an environment are written large; those of links are not.
fn is_of_a_link(after: &str, name: &str) -> bool {
    let filled_in =
        FILLED_IN.iter().any(|known| after.strip_prefix("__").is_some_and(|a| a.starts_with(known)));
    !filled_in && (name.starts_with("__") || name.contains(|c: char| c.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubled_ones_are_kept_and_single_ones_of_links_are_lost() {
        for (written, kept, lost) in [
            ("$${__value.raw}", "${__value.raw}", None),
            ("${__value.raw}", "", Some("${__value.raw}")),
            (
                "{$${__tags}} | trace_id=\"${__trace.traceId}\"",
                "{${__tags}} | trace_id=\"\"",
                Some("${__trace.traceId}"),
            ),
            ("rate(x[$__rate_interval])", "rate(x[])", Some("$__rate_interval")),
            ("${traceId}", "", Some("${traceId}")),
            ("Bearer $__file{/etc/token}", "Bearer $__file{/etc/token}", None),
            ("Bearer ${TOKEN}", "Bearer ${TOKEN}", None),
            ("Bearer $TOKEN", "Bearer $TOKEN", None),
            ("^trace_id$$", "^trace_id$", None),
            ("^trace_id$", "^trace_id$", None),
            ("${", "${", None),
            ("", "", None),
        ] {
            assert_eq!(read(written), (kept.to_owned(), lost.map(str::to_owned)), "{written}");
        }
    }

    proptest! {
        #[test]
        fn what_is_doubled_is_read_back_as_it_was(text in "[ -~$é{}]{0,40}") {
            prop_assert_eq!(read(&text.replace('$', "$$")), (text, None));
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,40}") {
            read(&text);
        }
    }
}
