//! Loki push over HTTP.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::pushed::{Outcome, Pushed};
use super::{json, proto};
use crate::body::{Encoding, snappy_block};
use crate::headers::{media_type, value};
use crate::intake::Door;
use crate::trouble::Trouble;

const JSON: &str = "application/json";

pub(super) fn router(door: Door) -> Router {
    Router::new()
        .route("/loki/api/v1/push", post(push))
        .route("/api/prom/push", post(push))
        .layer(DefaultBodyLimit::disable())
        .with_state(door)
}

async fn push(State(door): State<Door>, request: Request) -> Response {
    match take(&door, request).await {
        Ok(outcome) if outcome.rejected.total() > 0 => {
            let text = format!(
                "{} of {} entries were not taken, the others are stored: {}",
                outcome.rejected.total(),
                outcome.rejected.total() + outcome.taken,
                outcome.rejected
            );
            (StatusCode::BAD_REQUEST, text).into_response()
        }
        Ok(outcome) if outcome.streams == 0 => {
            let text = "error at least one valid stream is required for ingestion";
            (StatusCode::UNPROCESSABLE_ENTITY, text).into_response()
        }
        // Exactly 204: python-logging-loki takes any other code for an error.
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(trouble) => trouble.plain(),
    }
}

async fn take(door: &Door, request: Request) -> Result<Outcome, Trouble> {
    let (parts, body) = request.into_parts();
    let media = media_type(&parts.headers);
    // What can be a media type at all: two words and a slash.
    if !media.split_once('/').is_some_and(|(kind, more)| !kind.is_empty() && !more.is_empty()) {
        return Err(Trouble::Malformed(
            "mime: no media type: expected Content-Type application/json or application/x-protobuf"
                .to_owned(),
        ));
    }
    let as_json = media == JSON;
    let encoding = encoding(as_json, &parts.headers)?;
    let wire = door.read(&parts, body, encoding).await?;
    // Snappy within another compression; the other one alone is undone on the way here.
    let (packed, max) = (!as_json && encoding != Encoding::Snappy, door.max_body());
    door.take(wire, move |mut body, at| {
        if packed {
            body = snappy_block(&body, max, |_| true)?;
        }
        let mut pushed = Pushed::new(at);
        if as_json {
            json::read(&body, &mut pushed)?;
        } else {
            proto::read(&body, &mut pushed)?;
        }
        Ok(pushed.finish())
    })
    .await
}

/// The same words as elsewhere, but other bytes: `deflate` has no zlib header, and a protobuf body is snappy whatever it says.
fn encoding(as_json: bool, headers: &HeaderMap) -> Result<Encoding, Trouble> {
    let word = value(headers, header::CONTENT_ENCODING);
    let encoding = match (&*word, as_json) {
        ("" | "identity", true) => Encoding::Identity,
        ("gzip", _) => Encoding::Gzip,
        ("deflate", _) => Encoding::RawDeflate,
        ("" | "identity" | "snappy", false) => Encoding::Snappy,
        (_, true) => {
            let text = format!("Content-Encoding {word} of a JSON body: expected gzip, deflate or none");
            return Err(Trouble::Malformed(text));
        }
        (_, false) => {
            let text = format!(
                "Content-Encoding {word} of a protobuf body: expected snappy, gzip or deflate round it, or none"
            );
            return Err(Trouble::Malformed(text));
        }
    };
    Ok(encoding)
}
