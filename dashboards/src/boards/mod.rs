//! The dashboards, one a file: which panels there are and what they ask.

mod canary;
mod django;
mod envoy;
mod logs;
mod one_request;
mod service;
mod service_graph;
mod trefoil;
mod workload;

use crate::dashboard::Dashboard;
use crate::panel::{Content, DataLink, Panel};

/// All of them.
pub(crate) fn all() -> Vec<Dashboard> {
    vec![
        service::dashboard(),
        one_request::dashboard(),
        service_graph::dashboard(),
        logs::dashboard(),
        canary::dashboard(),
        workload::dashboard(),
        envoy::dashboard(),
        django::dashboard(),
        trefoil::dashboard(),
    ]
}

/// Rows of a table of traces: a screen's worth, and Grafana's own default.
const TRACES: i64 = 20;

/// A table of the newest traces that a query finds; the id opens the page of that request.
fn traces(title: &'static str, width: i64, query: impl Into<String>) -> Panel {
    let link = DataLink {
        field: "traceID",
        title: "Show this request",
        url: format!("/d/{}?var-trace_id=${{__value.raw}}&${{__url_time_range}}", one_request::UID),
    };
    Panel::new(title, width, 10, Content::Traces { query: query.into(), limit: TRACES, link })
}

/// A link that opens the page of the service in a field.
fn to_service(field: &'static str) -> DataLink {
    DataLink {
        field,
        title: "Show this service",
        url: format!("/d/{}?var-service=${{__value.raw}}&${{__url_time_range}}", service::UID),
    }
}
