//! `trefoil trace`: asks a gateway for one request and shows the answer.

use std::io::{IsTerminal, Write};

use super::{Failure, failed, root_cause, runtime};
use crate::caller::Caller;
use crate::trace_view;

/// Bytes of an answer that are read at most: one look-up is bounded far below by the server.
const MAX_ANSWER: usize = 256 << 20;

/// What most terminals have when they do not say.
const DEFAULT_WIDTH: usize = 120;

pub(super) fn show(
    id: &str,
    json: bool,
    url: &str,
    query: &[(&str, String)],
    caller: &Caller,
) -> Result<(), Failure> {
    let runtime = runtime()?;
    let client = caller.of(url).map_err(|message| Failure { message, code: 2 })?;
    runtime.block_on(async {
        let address = format!("{}/api/v1/traces/{}", url.trim_end_matches('/'), percent(id));
        let mut answer = client.get(&address).query(query).send().await.map_err(|error| Failure {
            message: format!(
                "no Trefoil answers at {url} ({}); give its address with --url",
                root_cause(&error)
            ),
            code: 1,
        })?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(failed(format!("the answer is over {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        let found = status.is_success();
        if !found && status != reqwest::StatusCode::NOT_FOUND {
            return Err(failed(format!("{url} answered {status}: {}", String::from_utf8_lossy(&body))));
        }
        if json {
            std::io::stdout().write_all(&body).map_err(failed)?;
        } else {
            let value: serde_json::Value = serde_json::from_slice(&body)
                .map_err(|error| failed(format!("{url} did not answer as a Trefoil: {error}")))?;
            let options = trace_view::RenderOptions {
                width: terminal_width(),
                color: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            };
            print!("{}", trace_view::render(&value, &options));
        }
        if found { Ok(()) } else { Err(Failure { message: format!("nothing is stored of {id}"), code: 3 }) }
    })
}

/// An id as one path segment: spellings hold `:`, `;`, `=` and `/`.
fn percent(id: &str) -> String {
    let mut out = String::new();
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout())
        .ok()
        .map(|size| size.ws_col as usize)
        .filter(|&columns| columns >= 40)
        .or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
        .unwrap_or(DEFAULT_WIDTH)
}
