//! One request of events, taken as it comes: agents keep a request open for seconds, and what they have sent is found before it
//! ends.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt;

use super::answer::Report;
use super::decoder::{Decoder, Taken};
use super::lines::{Inflate, Line, Lines};
use crate::intake::{Circumstances, Door};
use crate::limits::Reservation;
use crate::trouble::Trouble;

/// Bytes of lines whose records are stored together, if the sender is quick.
const TOGETHER: usize = 256 * 1024;
/// If it is slow, what it has sent is stored after this.
const PAUSE: Duration = Duration::from_secs(1);
/// Pauses in a row after which nothing more is waited for. Agents send within ten seconds.
const MAX_PAUSES: u32 = 45;
/// Compressed bytes looked at in one go, so that what comes out of them is a few megabytes at most.
const PIECE: usize = 4 * 1024;

/// Reads a request to its end.
pub(super) async fn run(door: &Door, at: &Circumstances, mut body: Body) -> Report {
    let mut request = Request {
        door,
        decoder: Decoder::new(at),
        lines: Lines::default(),
        inflate: Inflate::new(),
        held: door.reservation(),
        report: Report::default(),
        bytes: 0,
        over: false,
    };
    let (mut pauses, mut wire) = (0, 0);
    loop {
        let Ok(next) = tokio::time::timeout(PAUSE, body.frame()).await else {
            request.store().await;
            pauses += 1;
            if pauses < MAX_PAUSES {
                continue;
            }
            request.fail(StatusCode::BAD_REQUEST, "the request did not go on");
            break;
        };
        pauses = 0;
        match next {
            None => break,
            Some(Err(error)) => {
                request.fail(StatusCode::BAD_REQUEST, &format!("the body broke off: {error}"));
                break;
            }
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                wire += data.len();
                for piece in data.chunks(PIECE) {
                    request.piece(piece).await;
                }
                // The rest of a request that has failed is read all the same, or the sender would see a broken connection
                // and not the answer; but not for ever.
                if request.over && wire > door.max_body() {
                    break;
                }
            }
        }
    }
    request.end().await
}

/// Bytes of a refused request that are read: what agents send in one.
const DISCARDED: usize = 1 << 20;

/// Reads what a refused sender has to say, or it would see a broken connection and not the answer; but not for long.
pub(super) async fn discard(mut body: Body) {
    let mut bytes = 0;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, |data| data.len());
            if bytes > DISCARDED {
                break;
            }
        }
    };
    // A sender that goes on for longer is cut off.
    let _ = tokio::time::timeout(PAUSE, read).await;
}

struct Request<'d> {
    door: &'d Door,
    decoder: Decoder<'d>,
    lines: Lines,
    inflate: Inflate,
    held: Reservation,
    report: Report,
    /// Decompressed so far.
    bytes: usize,
    /// Nothing more is taken of it.
    over: bool,
}

impl Request<'_> {
    fn fail(&mut self, status: StatusCode, message: &str) {
        self.report.error(status, message.to_owned(), None);
        self.over = true;
    }

    async fn piece(&mut self, piece: &[u8]) {
        if self.over {
            return;
        }
        let before = self.lines.buffer.len();
        if let Err(error) = self.inflate.feed(piece, &mut self.lines.buffer) {
            self.fail(StatusCode::BAD_REQUEST, &format!("bad compressed body: {error}"));
        }
        self.bytes += self.lines.buffer.len() - before;
        self.split(false);
        if self.bytes > self.door.max_body() {
            let trouble = Trouble::TooLarge(self.door.max_body());
            self.fail(trouble.http_status(), &trouble.to_string());
        }
        // Trees of values are several times their text, but there is one at a time.
        if !self.held.settle(self.lines.buffer.len() + 2 * self.decoder.waiting()) {
            let trouble = Trouble::busy();
            self.door.noted(&trouble);
            self.fail(trouble.http_status(), &trouble.to_string());
        }
        if self.decoder.waiting() >= TOGETHER {
            self.store().await;
        }
    }

    fn split(&mut self, last: bool) {
        let Self { decoder, lines, report, over, .. } = self;
        lines.split(last, |line| {
            if *over {
                return;
            }
            match line {
                Line::TooLong(start) => {
                    let message = "event exceeded the permitted size".to_owned();
                    report.error(StatusCode::BAD_REQUEST, message, Some(start));
                }
                Line::Whole(line) => {
                    if let Err(fault) = decoder.line(line) {
                        report.error(StatusCode::BAD_REQUEST, fault.message, Some(line));
                        *over |= fault.fatal;
                    }
                }
            }
        });
    }

    async fn store(&mut self) {
        let Taken { batch, rejected, events, bytes } = self.decoder.take();
        match self.door.deliver(batch, rejected, bytes).await {
            Ok(_) => self.report.accepted += events,
            Err(trouble) => {
                if let Trouble::Unavailable { retry_after, .. } = &trouble {
                    self.report.retry_after = Some(*retry_after);
                }
                self.fail(trouble.http_status(), &trouble.to_string());
            }
        }
    }

    async fn end(mut self) -> Report {
        if !self.over {
            if let Err(error) = self.inflate.end(&mut self.lines.buffer) {
                let message = format!("bad compressed body: {error}");
                self.report.error(StatusCode::BAD_REQUEST, message, None);
            }
            self.split(true);
        }
        self.store().await;
        self.report
    }
}
