//! What stands before the routers of every listener: who is let in, whose pages may read answers (CORS), and what browsers are
//! told to do with those.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::access::{Access, Guard, let_in};
use crate::config::Role;

/// What answers that are no pages may do in a browser: nothing, and in no frame.
const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// A page has its own scripts and styles only, asks its own server only, and is in no frame.
const PAGE: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors 'none'",
);
/// What pages of other origins may read of an answer's head.
const SHOWN: [HeaderName; 1] = [header::RETRY_AFTER];

/// A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    access: Arc<Access>,
    cors: Option<CorsLayer>,
}

impl Front {
    /// With CORS for these origins; for none, nothing is said of it, which browsers take for no.
    pub(crate) fn new(access: Arc<Access>, origins: &[String]) -> Self {
        let cors = (!origins.is_empty()).then(|| cors(origins));
        Self { access, cors }
    }

    /// Routes for who may send.
    pub(crate) fn receiving(&self, router: Router) -> Router {
        self.guarded(router, Role::Ingest)
    }

    /// Routes for who may ask.
    pub(crate) fn reading(&self, router: Router) -> Router {
        self.guarded(router, Role::Read)
    }

    // Paths that there are not need no token: whoever has a wrong one is told the right one.
    fn guarded(&self, router: Router, role: Role) -> Router {
        router.route_layer(from_fn_with_state(Guard { access: Arc::clone(&self.access), role }, let_in))
    }

    /// All of a listener, outermost.
    pub(crate) fn around(&self, router: Router) -> Router {
        let router = router.layer(map_response(for_browsers));
        match &self.cors {
            Some(cors) => router.layer(cors.clone()),
            None => router,
        }
    }
}

fn cors(origins: &[String]) -> CorsLayer {
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(SHOWN)
}

async fn for_browsers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let media = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if media.starts_with(b"application/grpc") {
        return response;
    }
    let policy = if media.starts_with(b"text/html") { PAGE } else { NO_PAGE };
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
