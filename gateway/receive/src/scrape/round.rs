//! Which targets there are at the moment, and a task for each: new ones begin, those that are no more end, those whose settings
//! changed are begun anew with the series of before.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parsers::record::Labels;
use parsers::stage::relabel::Relabel;
use reqwest::Client;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::discovery::{Found, Source, Watched};
use super::fetch::client;
use super::laps::{End, Lapper};
use super::memory::Memory;
use super::options::{Job, ScrapeOptions};
use super::report::{Health, Scraping, TargetReport};
use super::target::{DroppedTarget, Target, target};
use crate::counters::Protocol;
use crate::intake::Intake;

/// Targets that are scraped; what is beyond is told. A page each 15 s of so many is 330 a second.
pub const MAX_TARGETS: usize = 5_000;
/// Scrapes under way at once: most of them wait for targets that do not answer.
const AT_ONCE: usize = 256;
/// Discoveries that come close together, as at a start, are taken together.
const TOGETHER: Duration = Duration::from_millis(100);

/// Scrapes until `shutdown`. Other options, when they come, take effect at once.
pub async fn run(
    mut following: watch::Receiver<ScrapeOptions>,
    intake: Intake,
    scraping: Arc<Scraping>,
    shutdown: CancellationToken,
) {
    let found = Arc::new(Found::default());
    let mut round = Round::new(intake, scraping);
    let mut watched: HashMap<Source, Watched> = HashMap::new();
    loop {
        let options = following.borrow_and_update().clone();
        round.prepare(&options);
        let wanted: HashSet<Source> = options.jobs.iter().flat_map(Source::of).collect();
        watched.retain(|source, _| wanted.contains(source));
        for source in wanted {
            let start = |source: &Source| Watched::start(source, &found, &round.scraping);
            watched.entry(source).or_insert_with_key(start);
        }
        round.scraping.keep_discoveries(|name| watched.keys().any(|source| source.name() == name));
        loop {
            round.go_over(&watched);
            let reloaded = tokio::select! {
                () = shutdown.cancelled() => return round.stop().await,
                changed = following.changed() => match changed {
                    Ok(()) => true,
                    // Nobody has other options any more.
                    Err(_) => {
                        tokio::select! {
                            () = shutdown.cancelled() => return round.stop().await,
                            () = found.changed() => false,
                        }
                    }
                },
                () = found.changed() => false,
            };
            if reloaded {
                break;
            }
            tokio::time::sleep(TOGETHER).await;
        }
    }
}

/// A job, ready to be used.
struct Ready {
    job: Job,
    relabel: Relabel,
    metric_relabel: Relabel,
    client: Result<Client, String>,
}

impl Ready {
    /// The configuration has been read, so its rules can be compiled; what could not would be none.
    fn new(job: &Job) -> Self {
        Self {
            relabel: Relabel::new(&job.relabel).unwrap_or_default(),
            metric_relabel: Relabel::new(&job.metric_relabel).unwrap_or_default(),
            client: client(&job.tls).inspect_err(|error| {
                tracing::error!(job = job.name, "its targets cannot be scraped: {error}");
            }),
            job: job.clone(),
        }
    }

    /// Whether a target is scraped as before: what is discovered may differ.
    fn scrapes_as(&self, other: &Job) -> bool {
        let without = |job: &Job| Job {
            relabel: Vec::new(),
            groups: Vec::new(),
            files: Vec::new(),
            kubernetes: Vec::new(),
            ..job.clone()
        };
        without(&self.job) == without(other)
    }
}

/// A target being scraped.
struct Running {
    lapper: Arc<Lapper>,
    ready: Arc<Ready>,
    stop: CancellationToken,
    end: Arc<Mutex<End>>,
}

impl Running {
    fn stop(&self, end: End) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        self.stop.cancel();
    }
}

struct Round {
    intake: Intake,
    scraping: Arc<Scraping>,
    ready: Vec<Arc<Ready>>,
    running: HashMap<Target, Running>,
    tasks: TaskTracker,
    remembered: Arc<AtomicUsize>,
    at_once: Arc<Semaphore>,
    next_number: u64,
}

impl Round {
    fn new(intake: Intake, scraping: Arc<Scraping>) -> Self {
        Self {
            intake,
            scraping,
            ready: Vec::new(),
            running: HashMap::new(),
            tasks: TaskTracker::new(),
            remembered: Arc::new(AtomicUsize::new(0)),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            next_number: 0,
        }
    }

    /// Takes other options. What did not change is kept as it is.
    fn prepare(&mut self, options: &ScrapeOptions) {
        let before = std::mem::take(&mut self.ready);
        for job in &options.jobs {
            let same = before.iter().find(|ready| ready.job == *job);
            self.ready.push(same.map_or_else(|| Arc::new(Ready::new(job)), Arc::clone));
        }
    }

    /// Compares what there is to scrape with what is scraped.
    fn go_over(&mut self, watched: &HashMap<Source, Watched>) {
        let (wanted, dropped) = self.wanted(watched);
        self.scraping.set_dropped(dropped);
        let gone: Vec<Target> = self
            .running
            .iter()
            .filter(|(target, running)| {
                wanted.get(*target).is_none_or(|ready| !ready.scrapes_as(&running.ready.job))
            })
            .map(|(target, _)| target.clone())
            .collect();
        for target in gone {
            let Some(running) = self.running.remove(&target) else { continue };
            self.scraping.forget(running.lapper.number);
            let inherits = wanted.contains_key(&target);
            running.stop(if inherits { End::HandedOver } else { End::Gone });
            if let Some(ready) = wanted.get(&target) {
                let series = running.lapper.memory().all();
                self.start(target, ready, series);
            }
        }
        for (target, ready) in wanted {
            if !self.running.contains_key(&target) {
                self.start(target, &ready, Vec::new());
            }
        }
    }

    /// What there is to scrape, and what was discovered besides.
    fn wanted(
        &self,
        watched: &HashMap<Source, Watched>,
    ) -> (HashMap<Target, Arc<Ready>>, Vec<DroppedTarget>) {
        let (mut wanted, mut dropped) = (HashMap::new(), Vec::new());
        for ready in &self.ready {
            let job = &ready.job;
            let found = Source::of(job)
                .into_iter()
                .filter_map(|source| watched.get(&source))
                .flat_map(Watched::groups);
            for group in job.groups.iter().cloned().chain(found) {
                for address in &group.targets {
                    match target(job, &ready.relabel, address, &group.labels) {
                        Ok(target) if wanted.len() < MAX_TARGETS || wanted.contains_key(&target) => {
                            wanted.entry(target).or_insert_with(|| Arc::clone(ready));
                        }
                        Ok(target) => dropped.push(DroppedTarget {
                            job: job.name.clone(),
                            labels: owned(&target.labels),
                            reason: format!("there are more than {MAX_TARGETS} targets"),
                        }),
                        Err(it) => dropped.push(it),
                    }
                }
            }
        }
        (wanted, dropped)
    }

    fn start(&mut self, target: Target, ready: &Arc<Ready>, inherited: Vec<Arc<Labels>>) {
        let (job, number) = (&ready.job, self.next_number);
        self.next_number += 1;
        let report = TargetReport {
            job: job.name.clone(),
            url: target.url.to_string(),
            labels: owned(&target.labels),
            interval: job.interval,
            health: Health::Unknown,
            ..TargetReport::default()
        };
        self.scraping.begin(number, report);
        let lapper = Arc::new(Lapper {
            number,
            interval: job.interval,
            timeout: job.timeout,
            credentials: job.credentials.clone(),
            client: ready.client.clone(),
            reading: Lapper::reading(job, &ready.metric_relabel, &target),
            memory: Mutex::new(Memory::new(Arc::clone(&self.remembered), inherited)),
            door: self.intake.door(Protocol::Scrape, job.body_size_limit),
            scraping: Arc::clone(&self.scraping),
            at_once: Arc::clone(&self.at_once),
            target: target.clone(),
        });
        let (stop, end) = (CancellationToken::new(), Arc::new(Mutex::new(End::Pause)));
        let why = Arc::clone(&end);
        let task = Arc::clone(&lapper)
            .run(stop.clone(), move || *why.lock().unwrap_or_else(PoisonError::into_inner));
        self.tasks.spawn(task);
        self.running.insert(target, Running { lapper, ready: Arc::clone(ready), stop, end });
    }

    /// Ends all scrapes. Nothing is marked: the targets are scraped again after the start.
    async fn stop(self) {
        self.running.values().for_each(|running| running.stop(End::Pause));
        self.tasks.close();
        self.tasks.wait().await;
        debug_assert!(self.remembered.load(Ordering::Relaxed) <= super::MAX_REMEMBERED);
    }
}

fn owned(labels: &Labels) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
