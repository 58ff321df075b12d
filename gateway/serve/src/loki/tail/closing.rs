//! How a WebSocket ends: whoever closes is answered, and what breaks the protocol is told by its code (RFC 6455 §5.5.1, §7.4.1). A
//! client that sees the connection end without a Close frame takes it for an accident and comes back.

use std::error::Error as _;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use tokio::time::timeout;
use tungstenite::error::{Error, ProtocolError};

use super::send;

/// For a Close frame to go there and back; one that takes longer is not waited for.
const ANSWER: Duration = Duration::from_secs(2);
/// Bytes of a message from a client. It has nothing to say but that it is there or goes.
pub(super) const MAX_MESSAGE: usize = 64 << 10;

/// Ends a connection after a Close frame of either side: what answers it is on its way when nothing more can be read.
pub(super) async fn finish(mut socket: WebSocket) {
    let _ = timeout(ANSWER, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
}

/// Closes a connection from this side.
pub(super) async fn close(mut socket: WebSocket, code: u16, reason: String) {
    let frame = CloseFrame { code, reason: reason.into() };
    if send(&mut socket, Message::Close(Some(frame))).await {
        finish(socket).await;
    }
}

/// The code and the reason for what a client did wrong; `None` if the connection is gone.
pub(super) fn fault(error: &axum::Error) -> Option<(u16, String)> {
    match error.source()?.downcast_ref::<Error>()? {
        // By halves, or all of it: nobody is there to be told.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        // A Close frame has 123 bytes for it.
        Error::Protocol(fault) => Some((close_code::PROTOCOL, fault.to_string().chars().take(100).collect())),
        Error::Capacity(_) => {
            Some((close_code::SIZE, format!("a message has {MAX_MESSAGE} bytes here at most")))
        }
        Error::Utf8(_) => Some((close_code::INVALID, "a text is not UTF-8".to_owned())),
        _ => None,
    }
}
