//! `/mcp`: the same questions as tools for programs that speak the Model Context Protocol, over its streamable HTTP.
//!
//! A tool is a path of another surface with its parameters: it is asked here as any client would ask it, and its answer is cut
//! to what such a program can read. No sessions are kept.

mod answer;
#[cfg(test)]
mod tests;
mod tools;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;
use tower::ServiceExt as _;

use crate::tenant::HEADER;
use answer::MAX_ANSWER;
use tools::Tool;

/// Bytes of a request: a tool's name and its arguments.
const MAX_REQUEST: usize = 256 << 10;
/// Bytes of an answer that are read before it is cut.
const MAX_BODY: usize = 16 << 20;
/// What a client is told at first.
const INSTRUCTIONS: &str = "Trefoil answers what happened in a request: spans, log lines and metrics joined, each join with its \
    rule and confidence, each absence with its reason. Begin with `services` or `correlate`; times are RFC 3339, seconds or \
    nanoseconds. Lists are cut to what fits: ask again with a narrower window, `limit` or `fields`.";

/// Who may speak to it.
#[derive(Debug, Clone, Default)]
pub struct McpOptions {
    /// Names (`host` or `host:port`) by which it may be asked besides those of the loopback: a page that has another name point
    /// here is refused.
    pub hosts: Vec<String>,
    /// Origins (`https://host:port`) of pages that may ask it; without any, no page may.
    pub origins: Vec<String>,
}

/// The same surfaces with `/mcp` beside them.
pub fn with_mcp(surfaces: Router, options: McpOptions) -> Router {
    let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_REQUEST)
        .with_allowed_hosts(loopback.into_iter().chain(options.hosts))
        .with_allowed_origins(options.origins)
        .enforce_origin_validation();
    let tools = Tools(surfaces.clone());
    let service = StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    surfaces.nest_service("/mcp", service)
}

/// Whose records the request that asks for a tool reads.
fn tenants(context: &RequestContext<RoleServer>) -> Vec<HeaderValue> {
    let head = context.extensions.get::<Parts>();
    head.map(|head| head.headers.get_all(HEADER).iter().cloned().collect()).unwrap_or_default()
}

/// Asks the surfaces.
#[derive(Clone)]
struct Tools(Router);

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("trefoil", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::ALL.iter().map(Tool::described).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = tools::ALL.iter().find(|tool| tool.name == request.name) else {
            let names: Vec<&str> = tools::ALL.iter().map(|tool| tool.name).collect();
            let detail = format!("no tool {:?}: expected one of {}", request.name, names.join(", "));
            return Err(ErrorData::invalid_params(detail, None));
        };
        let result = self.answer(tool, request.arguments.unwrap_or_default(), &tenants(&context)).await;
        Ok(match result {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(text) => CallToolResult::error(vec![ContentBlock::text(text)]),
        }
        .into())
    }
}

impl Tools {
    /// What a tool answers, short enough; an error says what was wrong with the question. What is too long is asked for again with
    /// fewer entries, so that it says itself what is left out and how to go on.
    async fn answer(
        &self,
        tool: &Tool,
        mut arguments: JsonObject,
        tenants: &[HeaderValue],
    ) -> Result<String, String> {
        let (mut status, mut body) = self.ask(tool, &arguments, tenants).await?;
        let mut limit = usize::MAX;
        while status.is_success()
            && body.len() > MAX_ANSWER
            && tool.takes("limit")
            && let Some(fewer) =
                answer::fitting(&body).map(|fitting| fitting.min(limit - 1)).filter(|n| *n > 0)
        {
            limit = fewer;
            arguments.insert("limit".to_owned(), json!(limit));
            (status, body) = self.ask(tool, &arguments, tenants).await?;
            if status.is_success() && body.len() <= MAX_ANSWER {
                return Ok(answer::shortened(&body, limit, &tool.narrower()));
            }
        }
        let text = answer::bounded(&body, &tool.narrower());
        // Nothing found is an answer, and says why.
        if status.is_success() || status == StatusCode::NOT_FOUND { Ok(text) } else { Err(text) }
    }

    /// What a path answers.
    async fn ask(
        &self,
        tool: &Tool,
        arguments: &JsonObject,
        tenants: &[HeaderValue],
    ) -> Result<(StatusCode, Bytes), String> {
        // As the surfaces write it.
        let refused = |error: String| json!({ "error": error }).to_string();
        let path = tool.path(arguments).map_err(refused)?;
        let request = Request::get(path).body(Body::empty());
        let mut request = request.map_err(|error| refused(error.to_string()))?;
        for named in tenants {
            request.headers_mut().append(HEADER, named.clone());
        }
        let Ok(response) = self.0.clone().oneshot(request).await;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body =
            body.map_err(|_| refused(format!("the answer is over {MAX_BODY} bytes: {}", tool.narrower())))?;
        Ok((status, body.to_bytes()))
    }
}
