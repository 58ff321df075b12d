//! The agent's datagrams: one call in each.

use std::pin::pin;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::MissedTickBehavior;

use super::drops::Drops;
use super::thrift;
use crate::counters::count;
use crate::span_intake::SpanIntake;
use crate::thrift::{Protocol, Reader, ThriftError};
use crate::translated::Translated;
use crate::trouble::Trouble;
use crate::zipkin;

/// Larger than a datagram can be, so that none is cut. Clients keep below 65,000.
const MAX_DATAGRAM: usize = 1 << 16;
/// Bytes of datagrams that are taken together when more wait: a batch costs the store what many spans do.
const MAX_TOGETHER: usize = 1 << 18;

/// Between looks at what the kernel dropped: metrics are scraped no more often.
const LOOK_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn run(
    intake: &SpanIntake,
    socket: &UdpSocket,
    protocol: Protocol,
    shutdown: impl Future<Output = ()>,
) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut shutdown = pin!(shutdown);
    let mut drops = Drops::of(socket);
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let received = tokio::select! {
            received = socket.recv(&mut buffer) => received,
            _ = look.tick() => {
                count(&intake.all_counters().dropped_datagrams, drops.more());
                continue;
            }
            () = &mut shutdown => return,
        };
        // An error is an earlier answer's, which nobody waits for.
        let Ok(mut len) = received else { continue };
        let mut waiting = Waiting::new(intake, protocol);
        loop {
            waiting.add(buffer.get(..len).unwrap_or_default());
            if waiting.bytes >= MAX_TOGETHER {
                break;
            }
            let Ok(next) = socket.try_recv(&mut buffer) else { break };
            len = next;
        }
        waiting.deliver().await;
    }
}

/// Datagrams that are taken together. Whatever is wrong with one of them, only the counters know.
pub(super) struct Waiting<'i> {
    intake: &'i SpanIntake,
    protocol: Protocol,
    translated: Translated,
    datagrams: u64,
    bytes: usize,
}

impl<'i> Waiting<'i> {
    pub(super) fn new(intake: &'i SpanIntake, protocol: Protocol) -> Self {
        Self { intake, protocol, translated: intake.begin(), datagrams: 0, bytes: 0 }
    }

    /// Reads one.
    pub(super) fn add(&mut self, datagram: &[u8]) {
        let before = (self.translated.taken(), self.translated.left_out());
        let read = call(self.protocol, datagram, &mut self.translated);
        let only_bad = self.translated.taken() == before.0 && self.translated.left_out() > before.1;
        if read.is_err() || only_bad {
            count(&self.intake.all_counters().bad_datagrams, 1);
        }
        self.datagrams += 1;
        self.bytes += datagram.len();
    }

    /// Hands over all of them.
    pub(super) async fn deliver(self) {
        let delivered = self.intake.deliver(self.translated, self.bytes).await;
        if let Err(Trouble::Unavailable { .. }) = delivered {
            count(&self.intake.all_counters().lost_datagrams, self.datagrams);
        }
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
