//! Remote write over HTTP.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::written::{Outcome, Written};
use super::{proto, proto_two};
use crate::body::Encoding;
use crate::headers::value;
use crate::intake::Door;
use crate::trouble::Trouble;

/// What was stored of a request of version 2.0; a sender takes their absence for a receiver that does not know it.
const SAMPLES: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// The two messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

pub(super) fn router(door: Door) -> Router {
    Router::new().route("/api/v1/write", post(write)).layer(DefaultBodyLimit::disable()).with_state(door)
}

async fn write(State(door): State<Door>, request: Request) -> Response {
    let version = match version(request.headers()) {
        Ok(version) => version,
        Err(text) => return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response(),
    };
    let taken = async {
        let (parts, body) = request.into_parts();
        let wire = door.read(&parts, body, Encoding::Snappy).await?;
        door.take_telling(wire, move |body, at| {
            let mut written = Written::new(at);
            match version {
                Version::One => proto::read(&body, &mut written)?,
                Version::Two => proto_two::read(&body, &mut written)?,
            }
            Ok(written.finish())
        })
        .await
    };
    let (mut response, outcome) = match taken.await {
        Ok((outcome, left_out)) if outcome.rejected.total() + left_out.samples == 0 => {
            (StatusCode::NO_CONTENT.into_response(), outcome)
        }
        Ok((mut outcome, left_out)) => {
            let reasons = [outcome.rejected.to_string(), left_out.reason];
            let reasons: Vec<&str> = reasons.iter().map(String::as_str).filter(|r| !r.is_empty()).collect();
            let text = format!(
                "{} of the request could not be taken, the rest is stored: {}",
                outcome.rejected.total() + left_out.samples,
                reasons.join("; ")
            );
            // Histograms are left out as rarely as others are: which of both kinds it was is not told.
            outcome.samples = outcome.samples.saturating_sub(left_out.samples);
            ((StatusCode::BAD_REQUEST, text).into_response(), outcome)
        }
        Err(trouble @ Trouble::Unavailable { .. }) => return trouble.plain(),
        Err(trouble) => (trouble.plain(), Outcome::default()),
    };
    if version == Version::Two {
        let counts =
            [(SAMPLES, outcome.samples), (HISTOGRAMS, outcome.histograms), (EXEMPLARS, outcome.exemplars)];
        response.headers_mut().extend(counts.map(|(name, count)| (name, HeaderValue::from(count))));
    }
    response
}

/// By the content type alone: the version header says less.
fn version(headers: &HeaderMap) -> Result<Version, String> {
    const EXPECTED: &str = "expected application/x-protobuf, with ;proto=prometheus.WriteRequest (or none) or \
                            ;proto=io.prometheus.write.v2.Request, compressed as one snappy block";
    let encoding = value(headers, header::CONTENT_ENCODING);
    if encoding != "snappy" {
        return Err(format!("unsupported Content-Encoding `{encoding}`: {EXPECTED}"));
    }
    let media = value(headers, header::CONTENT_TYPE);
    let mut parts = media.split(';').map(str::trim);
    let unsupported = || Err(format!("unsupported Content-Type `{media}`: {EXPECTED}"));
    if parts.next() != Some("application/x-protobuf") {
        return unsupported();
    }
    let message = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (name.trim() == "proto").then(|| value.trim().trim_matches('"'))
    });
    match message {
        None | Some("prometheus.writerequest") => Ok(Version::One),
        Some("io.prometheus.write.v2.request") => Ok(Version::Two),
        Some(_) => unsupported(),
    }
}
