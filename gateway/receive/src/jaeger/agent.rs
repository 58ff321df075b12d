//! The agent's datagrams: one call in each.

use std::pin::pin;

use tokio::net::UdpSocket;

use super::thrift;
use crate::counters::count;
use crate::span_intake::{Decode, SpanIntake};
use crate::thrift::{Protocol, Reader, ThriftError};
use crate::translated::Translated;
use crate::trouble::Trouble;
use crate::zipkin;

/// Larger than a datagram can be, so that none is cut. Clients keep below 65,000.
const MAX_DATAGRAM: usize = 1 << 16;

pub(super) async fn run(
    intake: &SpanIntake,
    socket: &UdpSocket,
    protocol: Protocol,
    shutdown: impl Future<Output = ()>,
) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut shutdown = pin!(shutdown);
    loop {
        let received = tokio::select! {
            received = socket.recv(&mut buffer) => received,
            () = &mut shutdown => return,
        };
        // An error is an earlier answer's, which nobody waits for.
        if let Ok(len) = received {
            take(intake, protocol, buffer.get(..len).unwrap_or_default()).await;
        }
    }
}

/// Takes one datagram. Whatever is wrong with it, only the counters know.
pub(super) async fn take(intake: &SpanIntake, protocol: Protocol, datagram: &[u8]) {
    let decode: Decode = match protocol {
        Protocol::Binary => |body, into| call(Protocol::Binary, body, into),
        Protocol::Compact => |body, into| call(Protocol::Compact, body, into),
    };
    let counters = intake.all_counters();
    match intake.take_few(datagram, decode).await {
        Ok(_) => {}
        Err(Trouble::Malformed(_) | Trouble::TooLarge(_)) => count(&counters.bad_datagrams, 1),
        Err(Trouble::Unavailable { .. }) => count(&counters.lost_datagrams, 1),
    }
}

fn call(protocol: Protocol, datagram: &[u8], into: &mut Translated) -> Result<(), String> {
    let mut reader = Reader::new(protocol, datagram);
    let mut read = || -> Result<bool, ThriftError> {
        let method = reader.message()?;
        let mut known = true;
        reader.fields(|reader, number, kind| match (method, number) {
            (b"emitBatch", 1) => thrift::batch(reader, kind, into),
            (b"emitZipkinBatch", 1) => zipkin::datagram_spans(reader, kind, into),
            _ => {
                known = matches!(method, b"emitBatch" | b"emitZipkinBatch");
                reader.skip(kind)
            }
        })?;
        Ok(known)
    };
    match read() {
        Ok(true) => Ok(()),
        Ok(false) => Err("unknown method".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
