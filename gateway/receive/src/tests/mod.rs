//! What holds for every protocol alike, asked of each in a row of a table. What only one of them knows is tested beside it.

mod bombs;
mod refusals;
mod tenants;
mod ways;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::elastic_apm::{ElasticApm, ElasticApmOptions};
use crate::jaeger::Jaeger;
use crate::kept::Kept;
use crate::loki_push::LokiPush;
use crate::otlp::{Otlp, OtlpOptions};
use crate::remote_write::RemoteWrite;
use crate::zipkin::Zipkin;
use crate::{Intake, MAX_BODY, MAX_IN_FLIGHT};
use ways::Way;

/// All receivers on one port, over one sink.
fn port(kept: &Arc<Kept>, max_body: usize, max_in_flight: usize) -> Router {
    over(&Intake::within(kept.clone(), Arc::default(), None, max_in_flight), max_body)
}

fn over(intake: &Intake, max_body: usize) -> Router {
    let (otlp, jaeger) = (
        Otlp::new(intake, OtlpOptions { max_body, ..OtlpOptions::default() }),
        Jaeger::new(intake, max_body),
    );
    let apm = ElasticApmOptions { max_body, ..ElasticApmOptions::default() };
    let spans = otlp.http().merge(otlp.grpc()).merge(jaeger.http()).merge(jaeger.grpc());
    let spans = spans.merge(Zipkin::new(intake, max_body).http()).merge(ElasticApm::new(intake, apm).http());
    spans.merge(LokiPush::new(intake, max_body).http()).merge(RemoteWrite::new(intake, max_body).http())
}

struct Answer {
    status: u16,
    /// Of the head, and behind the body.
    headers: HeaderMap,
    text: String,
}

impl Answer {
    /// The status in the protocol's own words: `202`, `grpc 14`.
    fn code(&self) -> String {
        match self.header("grpc-status") {
            Some(code) => format!("grpc {code}"),
            None => self.status.to_string(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn ask(router: Router, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, body) = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let mut headers = parts.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Answer { status: parts.status.as_u16(), headers, text }
}

/// Sends a body as this way does, with headers besides its own; and what was kept of it.
async fn send(way: &Way, more: &[(&str, &str)], body: Vec<u8>) -> (Answer, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    let router = port(&kept, MAX_BODY, MAX_IN_FLIGHT);
    let answer = ask(router, Method::POST, way.path, &[&way.headers(), more].concat(), body).await;
    (answer, kept)
}
