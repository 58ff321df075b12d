//! What a query may take: samples in memory at a time, and time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::Allowance;
use crate::promql::PromError;

/// Bytes of a sample or value.
const SAMPLE: u64 = 16;

/// Bounds of one query.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Samples and values held at a time, 16 bytes each. Prometheus allows 50 million; a gateway beside its users' own programs
    /// takes a third of a gigabyte at most.
    pub samples: u64,
    /// Series of one selector.
    pub series: usize,
    /// Time from the beginning; two minutes, as Prometheus.
    pub timeout: Duration,
    /// Steps of a range query; Prometheus' bound.
    pub steps: u64,
    /// How far back an instant vector looks; Prometheus' five minutes.
    pub lookback: Duration,
    /// Step of subqueries that name none; Prometheus takes its evaluation interval, which is a minute.
    pub subquery_step: Duration,
    /// Points of an answer, and bytes together with other queries.
    pub allowance: Allowance,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            samples: 20_000_000,
            series: 500_000,
            timeout: Duration::from_mins(2),
            steps: 11_000,
            lookback: Duration::from_mins(5),
            subquery_step: Duration::from_mins(1),
            allowance: Allowance::default(),
        }
    }
}

/// What a query has taken so far.
#[derive(Debug)]
pub(super) struct Budget {
    held: Cell<u64>,
    peak: Cell<u64>,
    limit: u64,
    allowance: Allowance,
    deadline: Option<Instant>,
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Rc<Budget>,
    samples: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.held.set(self.budget.held.get().saturating_sub(self.samples));
        self.budget.allowance.give(self.samples * SAMPLE);
    }
}

impl Budget {
    pub fn new(limits: &Limits) -> Rc<Self> {
        Rc::new(Self {
            held: Cell::new(0),
            peak: Cell::new(0),
            limit: limits.samples,
            allowance: limits.allowance.clone(),
            deadline: Instant::now().checked_add(limits.timeout),
        })
    }

    /// Most that was held at a time.
    pub fn peak(&self) -> u64 {
        self.peak.get()
    }

    /// How much may be taken yet.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.held.get())
    }

    /// Keeps room for so many samples while they are read: what is read together with other queries is bounded before it is
    /// there.
    pub fn reading<T>(
        &self,
        samples: u64,
        read: impl FnOnce() -> Result<T, PromError>,
    ) -> Result<T, PromError> {
        self.allowance.take(samples.saturating_mul(SAMPLE))?;
        let found = read();
        self.allowance.give(samples * SAMPLE);
        found
    }

    /// An error once the time is over.
    pub fn check_time(&self) -> Result<(), PromError> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(PromError::Timeout);
        }
        Ok(())
    }

    /// Takes so many samples.
    pub fn charge(self: &Rc<Self>, samples: u64) -> Result<Rc<Charge>, PromError> {
        self.check_time()?;
        let held = self.held.get().saturating_add(samples);
        if held > self.limit {
            return Err(PromError::TooManySamples);
        }
        self.allowance.take(samples.saturating_mul(SAMPLE))?;
        self.held.set(held);
        self.peak.set(self.peak.get().max(held));
        Ok(Rc::new(Charge { budget: Rc::clone(self), samples }))
    }
}
