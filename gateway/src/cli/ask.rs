//! Asks a gateway under `/api/v1`, for the commands that show an answer.

use std::io::{IsTerminal, Write};

use clap::Args;
use serde_json::Value;

use super::{Failure, failed, root_cause, runtime};
use crate::caller::Caller;
use crate::terminal::RenderOptions;

/// Bytes of an answer that are read at most: one answer is bounded far below by the server.
const MAX_ANSWER: usize = 256 << 20;

/// What most terminals have when they do not say.
const DEFAULT_WIDTH: usize = 120;

/// The gateway that is asked unless another is named.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// Where another may be named.
const URL_VARIABLE: &str = "TREFOIL_URL";

/// Whom to ask, and how to show what is answered.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// The answer as JSON, unchanged.
    #[arg(long)]
    pub(super) json: bool,
    /// The gateway to ask.
    #[arg(long, env = URL_VARIABLE, default_value = DEFAULT_URL)]
    pub(super) url: String,
    /// Who asks it.
    #[command(flatten)]
    pub(super) caller: Caller,
}

impl Asked {
    /// Asks, and prints the answer as it is or as `view` has it. `found` says of a good answer whether there is anything in it; one
    /// with status 404 is shown as well, and has nothing. With nothing found, this fails with exit code 3 and `nothing` on standard
    /// error.
    pub(super) fn show(
        &self,
        path: &str,
        query: &[(&str, String)],
        nothing: &str,
        view: impl Fn(&Value, &RenderOptions) -> String,
        found: impl Fn(&Value) -> bool,
    ) -> Result<(), Failure> {
        let url = self.url.trim_end_matches('/');
        let runtime = runtime()?;
        let client = self.caller.of(url).map_err(|message| Failure { message, code: 2 })?;
        let request = client.get(&format!("{url}{path}")).query(query);
        let (status, body) = runtime.block_on(async {
            let mut answer = request.send().await.map_err(|error| {
                let cause = root_cause(&error);
                failed(format!("no Trefoil answers at {url} ({cause}); give its address with --url"))
            })?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(failed)? {
                if body.len() + chunk.len() > MAX_ANSWER {
                    return Err(failed(format!("the answer is over {MAX_ANSWER} bytes")));
                }
                body.extend_from_slice(&chunk);
            }
            Ok((answer.status(), body))
        })?;
        let value = serde_json::from_slice::<Value>(&body);
        if !status.is_success() && status != reqwest::StatusCode::NOT_FOUND {
            let said = value.ok().and_then(|value| Some(value.get("error")?.as_str()?.to_owned()));
            let said = said.unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned());
            let code = if status == reqwest::StatusCode::BAD_REQUEST { 2 } else { 1 };
            return Err(Failure { message: format!("{url} answered {status}: {said}"), code });
        }
        let value = value.map_err(|error| failed(format!("{url} did not answer as a Trefoil: {error}")))?;
        let text = if self.json { body } else { view(&value, &options(&self.url)).into_bytes() };
        std::io::stdout().write_all(&text).map_err(failed)?;
        if status.is_success() && found(&value) {
            return Ok(());
        }
        Err(Failure { message: nothing.to_owned(), code: 3 })
    }
}

fn options(url: &str) -> RenderOptions {
    let known = url == DEFAULT_URL || std::env::var(URL_VARIABLE).is_ok_and(|named| named == url);
    RenderOptions {
        url: (!known).then(|| url.to_owned()),
        width: terminal_width(),
        color: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}

fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout())
        .ok()
        .map(|size| size.ws_col as usize)
        .filter(|&columns| columns >= 40)
        .or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
        .unwrap_or(DEFAULT_WIDTH)
}
