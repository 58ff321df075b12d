//! Bodies of span protocols other than OTLP on their way through the door: translated, and their answers.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use parsers::record::Batch;

use crate::body::Encoding;
use crate::counters::Counters;
use crate::intake::{Circumstances, Decoded, Door, Origin, Rejected, Wire};
use crate::translated::{LeftOut, Translated};
use crate::trouble::Trouble;

/// The way of a body of spans to the sink. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SpanIntake {
    door: Door,
}

/// A body to spans. What is returned says why none of it can be read.
pub(crate) type Decode = fn(&[u8], &mut Translated) -> Result<(), String>;

impl SpanIntake {
    /// Through this door.
    pub(crate) fn new(door: Door) -> Self {
        Self { door }
    }

    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    pub(crate) fn all_counters(&self) -> &Counters {
        self.door.all_counters()
    }

    /// Reads the body of a request with this head.
    pub(crate) async fn read(&self, head: &Parts, body: Body, encoding: Encoding) -> Result<Wire, Trouble> {
        self.door.read(head, body, encoding).await
    }

    /// Takes a body. An error if all spans in it are bad; what was left out beside good ones is returned.
    pub(crate) async fn take(&self, wire: Wire, decode: Decode) -> Result<LeftOut, Trouble> {
        judged(self.door.take(wire, move |body, at| translate(&body, at, decode)).await?)
    }

    /// For spans that are read piece by piece.
    pub(crate) fn begin(&self) -> Translated {
        Translated::new(self.door.circumstances(Origin::default()).arrival)
    }

    /// Takes what was read so, of so many bytes.
    pub(crate) async fn deliver(&self, translated: Translated, bytes: usize) -> Result<LeftOut, Trouble> {
        let Decoded { batch, rejected, told } = decoded(translated);
        self.door.deliver(batch, rejected, bytes).await?;
        judged(told)
    }
}

/// A request of bad spans alone is bad.
fn judged((spans, left_out): (usize, LeftOut)) -> Result<LeftOut, Trouble> {
    match left_out.message() {
        Some(message) if spans == 0 => Err(Trouble::Malformed(message)),
        _ => Ok(left_out),
    }
}

fn translate(body: &[u8], at: &Circumstances, decode: Decode) -> Result<Decoded<(usize, LeftOut)>, Trouble> {
    let mut translated = Translated::new(at.arrival);
    decode(body, &mut translated).map_err(Trouble::Malformed)?;
    Ok(decoded(translated))
}

fn decoded(translated: Translated) -> Decoded<(usize, LeftOut)> {
    let (spans, left_out) = translated.finish();
    let rejected = Rejected { spans: left_out.rejections.rejected(), ..Rejected::default() };
    let taken = spans.rows.len();
    Decoded { batch: Batch { spans, ..Batch::default() }, rejected, told: (taken, left_out) }
}

/// How a body is compressed, by the word of its head. Both servers look for `gzip` anywhere in it.
pub(crate) fn encoding(word: &str) -> Result<Encoding, Trouble> {
    match word {
        "" | "identity" => Ok(Encoding::Identity),
        "deflate" => Ok(Encoding::Zlib),
        "zstd" => Ok(Encoding::Zstd),
        word if word.contains("gzip") => Ok(Encoding::Gzip),
        word => Err(Trouble::Malformed(format!(
            "unknown Content-Encoding {word}: expected gzip, deflate, zstd or none"
        ))),
    }
}

/// 202, without a body if all was taken; else a text that says what was not.
pub(crate) fn accepted(left_out: &LeftOut) -> Response {
    match left_out.message() {
        None => StatusCode::ACCEPTED.into_response(),
        Some(message) => (StatusCode::ACCEPTED, message).into_response(),
    }
}

/// The status of a failure, with this text.
pub(crate) fn refused(trouble: &Trouble, text: String) -> Response {
    trouble.answer(([(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text))
}
