//! What can go wrong with a request, and `google.rpc.Status`, which says so.

use std::time::Duration;

use parsers::otlp::Writer;

/// A request that is not answered with success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The body cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// The body is over the limit.
    #[error("the body is over the limit of {0} bytes, on the wire or decompressed")]
    TooLarge(usize),
    /// Try again later.
    #[error("{detail}")]
    Unavailable {
        /// For people.
        detail: String,
        /// How much later.
        retry_after: Duration,
    },
}

impl Trouble {
    pub(crate) fn busy() -> Self {
        Self::Unavailable {
            detail: "too many bytes in flight".to_owned(),
            retry_after: super::limits::RETRY_AFTER,
        }
    }

    /// The gRPC code.
    pub(crate) fn code(&self) -> u64 {
        match self {
            Self::Malformed(_) => 3,
            Self::TooLarge(_) => 8,
            Self::Unavailable { .. } => 14,
        }
    }

    /// `google.rpc.Status` in protobuf, with RetryInfo where a retry makes sense.
    pub(crate) fn status(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out);
        w.varint(1, self.code());
        w.bytes(2, self.to_string().as_bytes());
        if let Self::Unavailable { retry_after, .. } = self {
            w.message(3, |out| {
                let mut any = Writer::new(out);
                any.bytes(1, b"type.googleapis.com/google.rpc.RetryInfo");
                any.bytes(2, &retry_info(*retry_after));
            });
        }
        out
    }
}

/// `google.rpc.RetryInfo`.
pub(crate) fn retry_info(delay: Duration) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).message(1, |out| {
        let mut w = Writer::new(out);
        w.varint(1, delay.as_secs());
        w.varint(2, u64::from(delay.subsec_nanos()));
    });
    out
}
