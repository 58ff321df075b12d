//! One target, scraped at its interval until it is no more. A scrape that takes long is followed by the next one in its turn:
//! they never pile up.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parsers::record::{Batch, MetricBatch};
use peers::Credentials;
use reqwest::Client;
use rustc_hash::FxHasher;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::fetch::{Fetched, fetch};
use super::memory::Memory;
use super::options::Job;
use super::page::{Outcome, Page, Reading, end};
use super::report::{Health, Scraping, count};
use super::target::Target;
use crate::intake::{Decoded, Door, Origin, Rejected, Wire};
use crate::trouble::Trouble;

/// Families are told again after this: those of a day of metrics are dropped with it.
const FAMILIES_AGAIN: Duration = Duration::from_hours(1);

/// What a target is scraped with.
pub(super) struct Lapper {
    /// Its number among the reports.
    pub number: u64,
    pub target: Target,
    pub interval: Duration,
    pub timeout: Duration,
    pub credentials: Option<Credentials>,
    /// Or what is wrong with the settings of its job.
    pub client: Result<Client, String>,
    pub reading: Reading,
    pub memory: Mutex<Memory>,
    pub door: Door,
    pub scraping: Arc<Scraping>,
    /// Scrapes under way, of all targets.
    pub at_once: Arc<Semaphore>,
}

/// Why a lapper ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The program ends: the target will be scraped again.
    Pause,
    /// Another one goes on with its series.
    HandedOver,
    /// The target is no more.
    Gone,
}

impl Lapper {
    /// How a job's pages are read for a target.
    pub fn reading(job: &Job, metric_relabel: &parsers::stage::relabel::Relabel, target: &Target) -> Reading {
        Reading {
            labels: Arc::clone(&target.labels),
            metric_relabel: metric_relabel.clone(),
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps,
            sample_limit: job.sample_limit,
        }
    }

    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Scrapes until `stop`; `end` says then why.
    pub async fn run(self: Arc<Self>, stop: CancellationToken, end: impl Fn() -> End) {
        let first = Instant::now() + self.offset(now());
        let mut ticks = interval_at(first, self.interval);
        // One that comes late waits for its turn, so that targets stay spread.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut told = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            if told.elapsed() > FAMILIES_AGAIN {
                told = Instant::now();
                self.memory().tell_again();
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = Arc::clone(&self).lap() => {}
            }
        }
        if end() == End::Gone {
            let batch = end_of(&self);
            // Nobody comes to mark them later; without marks, series end when no sample has come for some minutes.
            let _ = self.door.deliver(batch, Rejected::default(), 0).await;
        }
    }

    /// Until the first scrape: a target's place in its interval follows from what it is, so that targets are spread and keep
    /// their places when we start again.
    fn offset(&self, now: u64) -> Duration {
        let interval = (self.interval.as_nanos() as u64).max(1);
        let mut hasher = FxHasher::default();
        self.target.hash(&mut hasher);
        let place = hasher.finish() % interval;
        Duration::from_nanos((place + interval - now % interval) % interval)
    }

    /// One scrape.
    async fn lap(self: Arc<Self>) {
        let Ok(_permit) = self.at_once.acquire().await else { return };
        let counters = &self.scraping.counters;
        // Milliseconds: what Prometheus' own data has.
        let (begun, time) = (Instant::now(), now() / 1_000_000 * 1_000_000);
        let got = match timeout(self.timeout, self.page()).await {
            Ok(got) => got,
            Err(_) => Err(Missed::Failed(format!("no whole answer within {:?}", self.timeout))),
        };
        let (done, remark) = match got {
            Ok((wire, fetched)) => {
                let (lapper, format) = (Arc::clone(&self), fetched.format);
                let done = self.door.take_telling(wire, move |body, _| {
                    Ok(lapper.rows(begun, time, |page| page.read(&body, format)))
                });
                match done.await {
                    Ok((outcome, left_out)) if left_out.samples > 0 => (Ok(outcome), Some(left_out.reason)),
                    done => (done.map(|(outcome, _)| outcome), fetched.remark),
                }
            }
            Err(Missed::Busy) => {
                count(&counters.skipped, 1);
                let remark = "not scraped: too much is being received at once";
                return self
                    .scraping
                    .change(self.number, |report| report.last_error = Some(remark.to_owned()));
            }
            Err(Missed::Failed(failure)) => (self.failed(begun, time, failure).await, None),
        };
        let done = match done {
            // Its compressed bytes are bad, or too many.
            Err(Trouble::Malformed(failure)) => self.failed(begun, time, failure).await,
            Err(trouble @ Trouble::TooLarge(_)) => {
                self.failed(begun, time, format!("{trouble} (`body_size_limit`)")).await
            }
            done => done,
        };
        match done {
            Ok(outcome) => {
                self.memory().commit(outcome.whole);
                let failed = outcome.failure.is_some();
                count(if failed { &counters.failed } else { &counters.taken }, 1);
                count(&counters.bad_lines, outcome.bad_lines);
                count(&counters.repeated_exemplars, outcome.repeated_exemplars);
                count(&counters.bad_exemplars, outcome.bad_exemplars);
                self.tell(begun, time, outcome, remark);
            }
            Err(trouble) => {
                count(&counters.refused, 1);
                self.scraping.change(self.number, |report| {
                    report.last_error = Some(format!("scraped, but not stored: {trouble}"));
                });
            }
        }
    }

    /// Fetches the page.
    async fn page(&self) -> Result<(Wire, Fetched), Missed> {
        let client = self.client.as_ref().map_err(|error| Missed::Failed(error.clone()))?;
        let fetched = fetch(client, &self.target.url, self.credentials.as_ref(), self.timeout).await;
        let mut fetched = fetched.map_err(Missed::Failed)?;
        let body = std::mem::take(&mut fetched.body);
        let wire =
            self.door.read_from(Origin::default(), body, fetched.encoding, 0).await.map_err(|trouble| {
                match trouble {
                    Trouble::Unavailable { .. } => Missed::Busy,
                    Trouble::TooLarge(_) => Missed::Failed(format!("{trouble} (`body_size_limit`)")),
                    Trouble::Malformed(failure) => Missed::Failed(failure),
                }
            })?;
        Ok((wire, fetched))
    }

    /// What there is to store of a scrape.
    fn rows(&self, begun: Instant, time: u64, read: impl FnOnce(&mut Page<'_>)) -> Decoded<Outcome> {
        let mut memory = self.memory();
        let mut page = Page::new(&self.reading, &mut memory, time);
        read(&mut page);
        let (metrics, outcome) = page.finish(begun.elapsed().as_secs_f64());
        let rejected = Rejected { samples: outcome.bad_lines, ..Rejected::default() };
        Decoded { batch: Batch { metrics, ..Batch::default() }, rejected, told: outcome }
    }

    /// Stores that there was no page.
    async fn failed(&self, begun: Instant, time: u64, failure: String) -> Result<Outcome, Trouble> {
        let Decoded { batch, rejected, told } = self.rows(begun, time, |page| page.fail(failure));
        self.door.deliver(batch, rejected, 0).await?;
        Ok(told)
    }

    fn tell(&self, begun: Instant, time: u64, outcome: Outcome, remark: Option<String>) {
        self.scraping.change(self.number, |report| {
            let partly = outcome
                .first_fault
                .map(|first| format!("{} lines could not be taken; the first: {first}", outcome.bad_lines));
            report.health = if outcome.failure.is_some() { Health::Down } else { Health::Up };
            report.last_error = outcome.failure.or(partly).or(remark);
            report.last_scrape = time;
            report.last_duration = begun.elapsed();
            report.samples = outcome.scraped;
            report.kept_samples = outcome.kept;
            report.exemplars = outcome.exemplars;
            report.bad_lines = outcome.bad_lines;
            report.all_exemplars += outcome.exemplars;
            report.scrapes += 1;
        });
    }
}

/// Why there is no page.
enum Missed {
    Failed(String),
    /// Not the target's fault.
    Busy,
}

fn end_of(lapper: &Lapper) -> Batch {
    let metrics: MetricBatch = end(&lapper.target.labels, &lapper.memory(), now());
    Batch { metrics, ..Batch::default() }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
