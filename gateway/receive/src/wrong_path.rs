//! What the ports of receivers answer on paths that they do not have: most often, a sender has the port of another protocol,
//! or a URL without its path. An HTTP sender must not be answered as gRPC is, with 200, or it would take that for success.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tonic::Status;

use crate::grpc;

/// All of a port, with what it takes, for who asks for something else.
pub(crate) fn alone(router: Router, takes: &'static str) -> Router {
    router.fallback(move |request: Request| std::future::ready(answer(&request, takes)))
}

fn answer(request: &Request, takes: &str) -> Response {
    let text = format!("not found: this port takes {takes}");
    if grpc::is_grpc(request.headers()) {
        grpc::failure(&Status::unimplemented(text))
    } else {
        (StatusCode::NOT_FOUND, text).into_response()
    }
}
