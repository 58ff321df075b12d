//! From a source's queue to the sink: fills batches, delivers them by size and by time, and says at the end whether all went.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parsers::record::{Batch, Position};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Means;
use crate::reading::batch::Filling;
use crate::report::{ContainerReport, Counters};
use crate::run::{deliver, now};

/// Between deliveries of batches that are not full, as for files; also how often records that wait for more are looked at.
const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// How long what was read is still offered at shutdown, if the sink does not take it: other parts stop meanwhile, and a
/// supervisor waits 10 s at least.
const GRACE: Duration = Duration::from_secs(5);

/// Makes records of what a source hands over.
pub(super) trait Assemble: Send {
    /// What it hands over.
    type Item: Send;
    /// Takes one.
    fn take(&mut self, item: Self::Item, making: &mut Making<'_>);
    /// There is nothing more for now: what has waited long enough is let go.
    fn idle(&mut self, making: &mut Making<'_>);
    /// Nothing more will come.
    fn flush(&mut self, making: &mut Making<'_>);
    /// Whether something waits for more.
    fn holds(&self) -> bool;
    /// How far the source has been read, where that has moved.
    fn positions(&mut self, now: u64, out: &mut Vec<Position>);
    /// Its figures.
    fn report(&self) -> &ContainerReport;
}

/// What making records needs and does not own.
pub(super) struct Making<'a> {
    pub filling: &'a mut Filling,
    pub counters: &'a Counters,
    /// How long a stage wants nothing more, in nanoseconds.
    pub wait: &'a mut u64,
}

/// One source's.
pub(super) struct Pump<A> {
    assembly: A,
    means: Means,
    filling: Filling,
    batch_bytes: usize,
}

impl<A: Assemble> Pump<A> {
    pub fn new(assembly: A, means: Means, batch_bytes: usize) -> Self {
        let filling = Filling::new(Arc::clone(&means.deriver));
        Self { assembly, means, filling, batch_bytes }
    }

    /// Runs until the queue is closed and empty. `false` if the last records were not taken in time after a shutdown.
    pub async fn run(mut self, mut items: mpsc::Receiver<A::Item>) -> bool {
        // Whether something was taken since the last delivery: it moves the position, though stages drop it.
        let (mut due, mut moved) = (None, false);
        loop {
            let item = tokio::select! {
                item = items.recv() => match item {
                    Some(item) => Some(item),
                    None => break,
                },
                () = until(due) => None,
            };
            let looked = item.is_none();
            moved |= !looked;
            let waited = self.make(|assembly, making| match item {
                Some(item) => assembly.take(item, making),
                None if items.is_empty() => assembly.idle(making),
                None => {}
            });
            if looked || self.filling.logs.size() >= self.batch_bytes {
                moved = false;
                if !self.deliver().await {
                    return false;
                }
            }
            if waited > 0 {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_nanos(waited)) => {}
                    () = self.means.shutdown.cancelled() => {}
                }
            }
            due = if !moved && !self.assembly.holds() {
                None
            } else if looked {
                Some(Instant::now() + FLUSH_AFTER)
            } else {
                due.or_else(|| Some(Instant::now() + FLUSH_AFTER))
            };
        }
        self.make(|assembly, making| assembly.flush(making));
        self.deliver().await
    }

    /// Gives how long a stage wants nothing more.
    fn make(&mut self, step: impl FnOnce(&mut A, &mut Making<'_>)) -> u64 {
        self.filling.observed = now();
        let (mut wait, before) = (0, self.filling.logs.rows.len());
        let making =
            &mut Making { filling: &mut self.filling, counters: &self.means.counters, wait: &mut wait };
        step(&mut self.assembly, making);
        let made = self.filling.logs.rows.len().saturating_sub(before) as u64;
        self.means.counters.lines.fetch_add(made, Ordering::Relaxed);
        wait
    }

    async fn deliver(&mut self) -> bool {
        let mut positions = Vec::new();
        self.assembly.positions(self.filling.observed, &mut positions);
        let batch = Batch { logs: self.filling.take(), positions, ..Batch::default() };
        if batch.is_empty() {
            return true;
        }
        let records = batch.logs.rows.len();
        let shutdown = self.means.shutdown.clone();
        let grace = async move {
            shutdown.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let never = CancellationToken::new();
        let report = self.assembly.report();
        let taken = tokio::select! {
            taken = deliver(&*self.means.sink, Arc::new(batch), &self.means.counters, &never) => taken,
            () = grace => false,
        };
        if taken {
            let delivered = report.behind.swap(0, Ordering::Relaxed);
            report.acknowledged.fetch_add(delivered, Ordering::Relaxed);
            report.waiting_since.store(0, Ordering::Relaxed);
        } else {
            tracing::warn!(source = &*report.path, records, "stopping: records were not taken in time");
        }
        taken
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Counts what a source has read.
pub(super) fn count_read(counters: &Counters, report: &ContainerReport, bytes: u64, now: u64) {
    counters.bytes.fetch_add(bytes, Ordering::Relaxed);
    report.bytes.fetch_add(bytes, Ordering::Relaxed);
    report.behind.fetch_add(bytes, Ordering::Relaxed);
    report.newest.store(now, Ordering::Relaxed);
    if report.waiting_since.load(Ordering::Relaxed) == 0 {
        report.waiting_since.store(now, Ordering::Relaxed);
    }
}
