//! What a handler leaves of a request's body, when it answers before it has read all: it is read and thrown away, and the answer goes
//! out then. Over HTTP/1 an answer in the middle of a body ends the connection, and senders see that and not the answer: Node's
//! `http` then throws where nobody catches it, which ends the application.

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{Version, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// Bytes that are thrown away: more than what SDKs and a Collector put in one request. Who sends more is cut off.
const MOST: u64 = 8 << 20;
/// A sender that takes longer is cut off.
const LONGEST: Duration = Duration::from_secs(2);

/// A body that two can read, one after the other. `None` once it has ended.
#[derive(Clone)]
struct Shared(Arc<Mutex<Option<Body>>>);

impl Shared {
    fn body(&self) -> MutexGuard<'_, Option<Body>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut shared = self.body();
        let Some(body) = shared.as_mut() else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            *shared = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body().as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body().as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// Middleware round everything that a listener serves.
pub async fn read_to_the_end(request: Request, next: Next) -> Response {
    // HTTP/2 ends a request's stream alone. Who asks whether to go on is told by the answer, and has nothing under way.
    let whole = request.body().is_end_stream()
        || request.version() >= Version::HTTP_2
        || request.headers().contains_key(header::EXPECT);
    if whole {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = Shared(Arc::new(Mutex::new(Some(body))));
    let response = next.run(Request::from_parts(parts, Body::new(body.clone()))).await;
    if !body.is_end_stream() {
        // A sender that is cut off sees the connection's end, which is all that can be done for it.
        let _ = tokio::time::timeout(LONGEST, throw_away(body)).await;
    }
    response
}

async fn throw_away(mut body: Shared) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > MOST {
            return;
        }
    }
}
