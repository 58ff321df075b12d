//! Large answers go out at the pace of who reads them, and not for ever: an answer that nobody takes is dropped, so that what
//! waits to be read is bounded in bytes and in time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::response::Response;
use futures::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// Answers up to this size go out as they are: a connection's own buffer holds as much.
const SMALL: u64 = 256 << 10;
/// Bytes that are handed to the connection at a time.
const PIECE: usize = 64 << 10;
/// A client that takes no piece for so long has left. Slow lines take one in a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// Kilobytes of large answers that are being read at once: four of the greatest.
const HELD: usize = 512 << 10;

/// Bounds the large answers that are being read. A cheap clone; all clones share the bound.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    kilobytes: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { kilobytes: Arc::new(Semaphore::new(HELD)), patience: PATIENCE }
    }
}

impl Pace {
    /// The same answer, of which no more than a piece waits in the connection; `None` if there is no room for it.
    pub(crate) async fn keep(&self, response: Response) -> Option<Response> {
        let size = response.body().size_hint().exact().filter(|size| *size > SMALL);
        let Some(size) = size else { return Some(response) };
        let kilobytes = u32::try_from(size >> 10).unwrap_or(u32::MAX).min(HELD as u32);
        let held = Arc::clone(&self.kilobytes).try_acquire_many_owned(kilobytes).ok()?;
        let (head, body) = response.into_parts();
        // Its size is known, so it lies in memory already.
        let body = body.collect().await.ok()?.to_bytes();
        let (sender, receiver) = mpsc::channel(1);
        let left = body.len();
        tokio::spawn(feed(body, sender, self.patience, held));
        let pieces = stream::unfold((receiver, left), async |(mut receiver, left)| {
            match receiver.recv().await {
                Some(piece) => {
                    let left = left.saturating_sub(Bytes::len(&piece));
                    Some((Ok(piece), (receiver, left)))
                }
                // An answer that was cut off must not look like a whole one.
                None => (left > 0).then_some((Err(CutOff), (receiver, 0))),
            }
        });
        // Whoever compresses it asks once more behind the end.
        Some(Response::from_parts(head, Body::from_stream(pieces.fuse())))
    }
}

/// The client took too long.
#[derive(Debug, thiserror::Error)]
#[error("the answer was not read in time")]
struct CutOff;

/// Hands over piece by piece; what is held is given back with the last.
async fn feed(mut body: Bytes, sender: mpsc::Sender<Bytes>, patience: Duration, _held: OwnedSemaphorePermit) {
    while !body.is_empty() {
        let piece = body.split_to(body.len().min(PIECE));
        if !matches!(timeout(patience, sender.send(piece)).await, Ok(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
