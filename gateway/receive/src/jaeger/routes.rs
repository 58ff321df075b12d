//! Thrift over HTTP, and sampling strategies.

use axum::Router;
use axum::extract::{DefaultBodyLimit, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::thrift;
use crate::headers::{media_type, value};
use crate::span_intake::{SpanIntake, accepted, encoding, refused};
use crate::thrift::{Kind, Protocol, Reader};
use crate::translated::Translated;
use crate::trouble::Trouble;

/// Everything: what is too much is left to whoever stores it.
const STRATEGY: &str = r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":1.0}}"#;

pub(super) fn router(intake: SpanIntake) -> Router {
    Router::new()
        .route("/api/traces", post(traces))
        .route("/api/sampling", get(sampling))
        .layer(DefaultBodyLimit::disable())
        .with_state(intake)
}

pub(super) fn sampling_router() -> Router {
    Router::new().route("/sampling", get(sampling))
}

async fn sampling(RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    if !query.split('&').any(|pair| pair.split('=').next() == Some("service")) {
        return (StatusCode::BAD_REQUEST, "'service' parameter must be provided once").into_response();
    }
    ([(header::CONTENT_TYPE, "application/json")], STRATEGY).into_response()
}

async fn traces(State(intake): State<SpanIntake>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match &*media_type(&parts.headers) {
        "application/x-thrift" | "application/vnd.apache.thrift.binary" => {}
        "" => return bad("Cannot parse content type: mime: no media type"),
        other => return bad(&format!("Unsupported content type: {other}")),
    }
    let taken = async {
        let encoding = encoding(&value(&parts.headers, header::CONTENT_ENCODING))?;
        intake.take(intake.read(&parts, body, encoding).await?, decode).await
    };
    match taken.await {
        Ok(left_out) => accepted(&left_out),
        Err(trouble @ Trouble::Malformed(_)) => {
            refused(&trouble, escape(&format!("Unable to process request body: {trouble}")))
        }
        Err(trouble) => refused(&trouble, trouble.to_string()),
    }
}

fn bad(text: &str) -> Response {
    let text = escape(text);
    refused(&Trouble::Malformed(text.clone()), text)
}

fn decode(body: &[u8], into: &mut Translated) -> Result<(), String> {
    let mut reader = Reader::new(Protocol::Binary, body);
    thrift::batch(&mut reader, Kind::Struct, into).map_err(|error| error.to_string())
}

/// A browser may be shown what was echoed.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
