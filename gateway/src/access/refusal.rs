//! What is said to whoever is not let in: gRPC's statuses to who speaks that, else one body of JSON that people, Grafana's data
//! sources and SDKs can show.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tonic::Code;

use crate::config::Role;

/// What clients may show.
const SCHEMES: HeaderValue = HeaderValue::from_static("Bearer realm=\"trefoil\", Basic realm=\"trefoil\"");

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It shows no token.
    NoToken(Role),
    /// Nobody has this token.
    Unknown,
    /// The token is for something else.
    Role(Role),
    /// The token is of one tenant and the request names another.
    Tenant,
    /// The token is of one tenant, and this tells of all.
    AllTenants,
    /// Too much; again after this time.
    Rate(Duration),
    /// A body over so many bytes.
    Size(u64),
}

impl Refusal {
    fn text(&self) -> String {
        match self {
            Self::NoToken(role) => format!(
                "expected a token with the role {}: `Authorization: Bearer TOKEN`, or Basic with the token as the password",
                role.as_str()
            ),
            Self::Unknown => "the token is none of this gateway's (access.tokens)".to_owned(),
            Self::Role(role) => {
                format!("the token has not the role {}, which this takes (access.tokens)", role.as_str())
            }
            Self::Tenant => "the token is of one tenant, and X-Scope-OrgID names another".to_owned(),
            Self::AllTenants => "the token is of one tenant, and this tells of all of them".to_owned(),
            Self::Rate(wait) => {
                format!("more than the token may send or ask for; again in {} s", seconds(*wait))
            }
            Self::Size(most) => format!("the body is larger than the {most} bytes that the token may send"),
        }
    }

    fn status(&self) -> (StatusCode, Code) {
        match self {
            Self::NoToken(_) | Self::Unknown => (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
            Self::Role(_) | Self::Tenant | Self::AllTenants => {
                (StatusCode::FORBIDDEN, Code::PermissionDenied)
            }
            Self::Rate(_) => (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted),
            Self::Size(_) => (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted),
        }
    }

    /// To a request with this head.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let (status, code) = self.status();
        let text = self.text();
        let wait = if let Self::Rate(wait) = self { Some(*wait) } else { None };
        let media = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if media.starts_with(b"application/grpc") {
            return receive::grpc_refusal(code, &text, wait).into_http::<Body>().into_response();
        }
        let kind = status.canonical_reason().unwrap_or_default().to_ascii_lowercase().replace(' ', "_");
        let body = json!({ "status": "error", "errorType": kind, "error": text, "message": text });
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, SCHEMES);
        }
        if let Some(wait) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
        }
        response
    }
}

/// Whole ones, at least one.
fn seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).max(1) as u64
}
