//! The middleware before a router: lets a request in, or answers it. It knows one role for all paths of its router, so that
//! nothing depends on comparing paths but what is open to all.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};

use super::refusal::Refusal;
use super::{Access, Known, Table, shown};
use crate::config::Role;

/// Where senders and readers name their tenant.
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// Probes, of this program's own and of the protocols, which their programs ask without a token. None tells of what is stored.
const OPEN: [&str; 5] = ["/healthz", "/readyz", "/health", "/info", "/grpc.health.v1.Health/Check"];
/// What tells of the whole gateway.
const ALL_TENANTS: [&str; 4] = [METRICS, "/metrics/spans", "/api/v1/collect/files", "/api/v1/scrape/targets"];
const METRICS: &str = "/metrics";

/// What a router takes. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) access: Arc<Access>,
    pub(crate) role: Role,
}

/// Lets a request in that shows a token with the role.
pub(crate) async fn let_in(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let Some(table) = guard.access.table() else { return next.run(request).await };
    let path = request.uri().path();
    if OPEN.contains(&path) || (path == METRICS && table.settings.public_metrics) {
        return next.run(request).await;
    }
    let token = match check(&table, guard.role, &request) {
        Ok(token) => token,
        Err(refusal) => return refused(&guard.access, &refusal, request.headers()),
    };
    // It has been looked at, and nothing behind has any use for it.
    request.headers_mut().remove(header::AUTHORIZATION);
    request.extensions_mut().insert(serve::ByToken);
    if let Some(tenant) = &token.tenant {
        request.headers_mut().insert(TENANT, tenant.clone());
    }
    if !token.allowance.counts() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let over = Arc::new(AtomicBool::new(false));
    let left = token.allowance.max_body.unwrap_or(u64::MAX);
    let body = Counted { body, left, token: Arc::clone(&token), over: Arc::clone(&over) };
    let response = next.run(Request::from_parts(parts, Body::new(body))).await;
    match token.allowance.max_body {
        Some(most) if over.load(Ordering::Relaxed) => refused(&guard.access, &Refusal::Size(most), &headers),
        _ => response,
    }
}

fn check(table: &Table, role: Role, request: &Request) -> Result<Arc<Known>, Refusal> {
    let headers = request.headers();
    let shown = shown(headers).ok_or(Refusal::NoToken(role))?;
    let token = table.find(&shown).ok_or(Refusal::Unknown)?;
    if !token.may(role) {
        return Err(Refusal::Role(role));
    }
    if let Some(tenant) = &token.tenant {
        if headers.get_all(TENANT).iter().any(|named| !named.is_empty() && named != tenant) {
            return Err(Refusal::Tenant);
        }
        if ALL_TENANTS.contains(&request.uri().path()) {
            return Err(Refusal::AllTenants);
        }
    }
    if let Some(most) = token.allowance.max_body {
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > most) {
            return Err(Refusal::Size(most));
        }
    }
    token.allowance.request(Instant::now()).map_err(Refusal::Rate)?;
    Ok(Arc::clone(token))
}

fn refused(access: &Access, refusal: &Refusal, headers: &HeaderMap<HeaderValue>) -> Response {
    access.count(|counters| match refusal {
        Refusal::NoToken(_) | Refusal::Unknown => &counters.unauthenticated,
        Refusal::Role(_) | Refusal::Tenant | Refusal::AllTenants => &counters.forbidden,
        Refusal::Rate(_) => &counters.rate,
        Refusal::Size(_) => &counters.size,
    });
    tracing::debug!(?refusal, "a request is not let in");
    refusal.answer(headers)
}

/// A body whose bytes are counted as they come; it ends with an error where the token may send no more.
struct Counted {
    body: Body,
    left: u64,
    token: Arc<Known>,
    over: Arc<AtomicBool>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.token.allowance.came(data.len());
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => {
                    self.over.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(axum::Error::new("more than the token may send"))));
                }
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
