//! What an endpoint's answer means for the records that were sent.

use std::time::{Duration, SystemTime};

use parsers::otlp::{Field, Reader};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

/// Longest wait that an endpoint may ask for: a clock that is off must not stop the shipping for a day.
const MAX_RETRY: Duration = Duration::from_mins(5);

/// Bytes of an answer that are read: a partial success with its message.
const ANSWER_BYTES: usize = 64 * 1024;

/// Characters of an answer that are repeated in a message.
const SAID_CHARS: usize = 300;

/// Loki's answer while ingestion is blocked by its operators: it counts as success, and nothing was taken.
const BLOCKED: u16 = 260;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is safe but this many records, which the endpoint rejected with a reason.
    Taken {
        rejected: u64,
        reason: String,
    },
    /// These records are at fault, or their number. `rest_kept`: the sound ones among them were taken all the same.
    Poisoned {
        reason: String,
        rest_kept: bool,
    },
    Later {
        reason: String,
        asked: Option<Duration>,
    },
}

/// Reads an answer.
pub(super) async fn verdict(mut answer: Response, of_otlp: bool) -> Verdict {
    let status = answer.status();
    let asked = retry_after(answer.headers());
    let body = read(&mut answer).await;
    if status.is_success() && status.as_u16() != BLOCKED {
        // The records are taken, whatever comes of the answer's body.
        let (rejected, reason) = if of_otlp { partial_success(&body) } else { (0, String::new()) };
        return Verdict::Taken { rejected, reason };
    }
    let said: String = String::from_utf8_lossy(&body).trim().chars().take(SAID_CHARS).collect();
    let reason = format!("{status}: {said}");
    match status {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            // Loki keeps the valid entries of a request whose others are out of its limits.
            let limits = ["too old", "too new", "too far behind", "out of order", "total ignored"];
            let rest_kept = !of_otlp && limits.iter().any(|limit| said.contains(limit));
            Verdict::Poisoned { reason, rest_kept }
        }
        // Everything else heals with time, or says nothing of the records: a wrong path or credential is for a person to put
        // right, and until then they wait.
        _ => Verdict::Later { reason, asked: asked.map(|asked| asked.min(MAX_RETRY)) },
    }
}

/// `ExportLogsServiceResponse.partial_success`: how many records, and why.
fn partial_success(answer: &[u8]) -> (u64, String) {
    let (mut rejected, mut message) = (0, String::new());
    let mut reader = Reader::new(answer);
    while let Ok(Some((number, field))) = reader.read() {
        let (1, Field::Bytes(partial)) = (number, field) else { continue };
        let mut reader = Reader::new(partial);
        while let Ok(Some((number, field))) = reader.read() {
            match (number, field) {
                (1, Field::Varint(count)) => rejected = count,
                (2, Field::Bytes(text)) => message = String::from_utf8_lossy(text).into_owned(),
                _ => {}
            }
        }
    }
    (rejected, message)
}

/// The beginning of an answer's body.
async fn read(answer: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend(chunk.iter().take(ANSWER_BYTES - body.len()));
        if body.len() == ANSWER_BYTES {
            break;
        }
    }
    body
}

/// `Retry-After`, in seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(SystemTime::from(date.timestamp()).duration_since(SystemTime::now()).unwrap_or_default())
}
