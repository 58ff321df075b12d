//! Grafana's own correlations, in the one form that every version of it accepts: without a `type` of their own and with one in
//! `config`. A mistake in them keeps Grafana from starting, so they are made only where they are asked for; the links that the
//! plugins have themselves do as much.

use super::{Homes, Source, links};
use crate::node::Node;

/// From log lines to the trace that they name. Other data sources have links of their own for all that a correlation could do.
pub(super) fn of(source: Source, homes: &Homes<'_>) -> Option<Node> {
    if source != Source::Loki {
        return None;
    }
    Some(Node::list(homes.traces.iter().map(|place| {
        let from_line = Node::map([
            ("type", "regex".into()),
            ("field", "Line".into()),
            ("expression", r#"[tT]race[._-]?[iI][dD]["']?\s*[=:]\s*["']?([0-9a-fA-F]{16,32})"#.into()),
            ("mapValue", "traceId".into()),
        ]);
        Node::map([
            ("targetUID", place.uid.into()),
            // Grafana panics at its start where either is missing.
            ("label", format!("Trace in {}", place.uid).into()),
            ("description", "Opens the trace that the line names".into()),
            (
                "config",
                Node::map([
                    ("type", "query".into()),
                    ("field", "Line".into()),
                    ("target", links::trace_query(*place, "traceId")),
                    ("transformations", Node::list([from_line])),
                ]),
            ),
        ])
    })))
}
