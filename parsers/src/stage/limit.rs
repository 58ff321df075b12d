//! `limit`: so many lines a second, by a bucket that fills evenly. Over it, lines are dropped or the reader is slowed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::config::LimitConfig;
use super::entry::Entry;
use super::pipeline::{Context, Flow};

/// Label values remembered, as Promtail has it.
const DEFAULT_LABELS: u64 = 10_000;

/// Seconds that a reader is slowed at most. It takes many lines at once, thousands perhaps, and has to wait for all of them, or
/// the limit would be none; what takes longer than this is a mistake in the configuration.
const MAX_DEBT: f64 = 3_600.0;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled: u64,
}

#[derive(Debug)]
struct Buckets {
    all: Bucket,
    by_value: std::collections::HashMap<String, Bucket>,
    /// Values in order of arrival: the first goes when there is no room.
    order: VecDeque<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Limit {
    rate: f64,
    burst: f64,
    by_label: Option<String>,
    max_labels: usize,
    drop: bool,
    /// One limit for all containers of the pipeline.
    buckets: Arc<Mutex<Buckets>>,
    reason: Arc<str>,
}

impl Limit {
    pub fn new(config: &LimitConfig) -> Result<Self, String> {
        if config.rate <= 0.0 || !config.rate.is_finite() {
            return Err(format!("expected a `rate` of lines a second above 0, came {}", config.rate));
        }
        if config.burst == 0 {
            return Err("expected a `burst` of at least 1: nothing would ever pass".into());
        }
        if config.by_label_name.is_some() && !config.drop {
            return Err("`by_label_name` needs `drop: true`: one container cannot wait for another".into());
        }
        let burst = config.burst as f64;
        let all = Bucket { tokens: burst, filled: 0 };
        Ok(Self {
            rate: config.rate,
            burst,
            by_label: config.by_label_name.clone(),
            max_labels: config.max_distinct_labels.unwrap_or(DEFAULT_LABELS).max(1) as usize,
            drop: config.drop,
            buckets: Arc::new(Mutex::new(Buckets {
                all,
                by_value: Default::default(),
                order: VecDeque::new(),
            })),
            reason: "ratelimit_drop_stage".into(),
        })
    }

    pub fn apply(&self, entry: &Entry, context: &mut Context<'_>) -> Flow {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = match &self.by_label {
            None => &mut buckets.all,
            Some(name) => {
                let Some(value) = entry.labels.get(name) else { return Flow::Next };
                let Buckets { by_value, order, .. } = &mut *buckets;
                if !by_value.contains_key(value) {
                    if by_value.len() >= self.max_labels
                        && let Some(oldest) = order.pop_front()
                    {
                        by_value.remove(&oldest);
                    }
                    order.push_back(value.to_owned());
                    by_value.insert(value.to_owned(), Bucket { tokens: self.burst, filled: context.now });
                }
                match by_value.get_mut(value) {
                    Some(bucket) => bucket,
                    None => return Flow::Next,
                }
            }
        };
        let passed = context.now.saturating_sub(bucket.filled) as f64 / 1e9;
        bucket.tokens = (bucket.tokens + passed * self.rate).min(self.burst);
        bucket.filled = bucket.filled.max(context.now);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Flow::Next;
        }
        if self.drop {
            return Flow::Drop(Arc::clone(&self.reason));
        }
        bucket.tokens = (bucket.tokens - 1.0).max(-MAX_DEBT * self.rate);
        let wait = (-bucket.tokens / self.rate * 1e9).max(0.0) as u64;
        drop(buckets);
        context.out.wait(wait);
        Flow::Next
    }
}
