//! How much a token may ask for: a bucket of requests and one of bytes, each filled at its rate and holding what comes in a second. A
//! request is let in as long as neither is empty; the bytes of its body are taken as they come, so that a bucket may owe some,
//! and the next request waits for those.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Limits;

/// Longest wait that is asked for, and so what a bucket may owe at most, whatever was sent at once.
const LONGEST: Duration = Duration::from_mins(1);
/// What a bucket holds at most: what comes in this time.
const BURST: Duration = Duration::from_secs(1);

/// Filled at a rate.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// A second.
    rate: f64,
    level: f64,
    /// When the level was right.
    at: Instant,
}

impl Bucket {
    fn full(rate: u64, at: Instant) -> Self {
        let rate = rate as f64;
        Self { rate, level: rate * BURST.as_secs_f64(), at }
    }

    fn fill(&mut self, now: Instant) {
        let come = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.level = (self.level + come).min(self.rate * BURST.as_secs_f64());
        self.at = now;
    }

    /// Until there is as much in it.
    fn until(&self, wanted: f64) -> Option<Duration> {
        (self.level < wanted).then(|| Duration::from_secs_f64((wanted - self.level) / self.rate))
    }

    fn take(&mut self, amount: f64) {
        self.level = (self.level - amount).max(-self.rate * LONGEST.as_secs_f64());
    }
}

/// What is left for a token.
#[derive(Debug)]
pub(super) struct Allowance {
    requests: Option<Mutex<Bucket>>,
    bytes: Option<Mutex<Bucket>>,
    /// Of one body.
    pub(super) max_body: Option<u64>,
}

fn locked(bucket: &Mutex<Bucket>) -> std::sync::MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Allowance {
    pub(super) fn new(limits: &Limits) -> Self {
        let bucket = |rate: Option<u64>| rate.map(|rate| Mutex::new(Bucket::full(rate, Instant::now())));
        Self {
            requests: bucket(limits.requests_per_second),
            bytes: bucket(limits.bytes_per_second),
            max_body: limits.max_body_bytes,
        }
    }

    /// Takes a request, or says how long it has to wait.
    pub(super) fn request(&self, now: Instant) -> Result<(), Duration> {
        if let Some(bytes) = &self.bytes {
            let mut bytes = locked(bytes);
            bytes.fill(now);
            // Something must be left of them; how many it takes is not known before its body has come.
            if let Some(wait) = bytes.until(f64::EPSILON) {
                return Err(wait.min(LONGEST));
            }
        }
        if let Some(requests) = &self.requests {
            let mut requests = locked(requests);
            requests.fill(now);
            if let Some(wait) = requests.until(1.0) {
                return Err(wait.min(LONGEST));
            }
            requests.take(1.0);
        }
        Ok(())
    }

    /// Takes bytes of a body that has been let in.
    pub(super) fn came(&self, bytes: usize) {
        if let Some(bucket) = &self.bytes {
            locked(bucket).take(bytes as f64);
        }
    }

    /// Whether bodies have to be counted.
    pub(super) fn counts(&self) -> bool {
        self.bytes.is_some() || self.max_body.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(requests: Option<u64>, bytes: Option<u64>) -> Allowance {
        Allowance::new(&Limits {
            requests_per_second: requests,
            bytes_per_second: bytes,
            max_body_bytes: None,
        })
    }

    #[test]
    fn requests_over_the_rate_wait_until_the_next_one_has_come() {
        let (allowance, start) = (of(Some(2), None), Instant::now());
        assert_eq!([allowance.request(start), allowance.request(start)], [Ok(()), Ok(())]);
        let wait = allowance.request(start).unwrap_err();
        assert!(wait > Duration::from_millis(400) && wait <= Duration::from_millis(500), "{wait:?}");
        assert_eq!(allowance.request(start + Duration::from_millis(501)), Ok(()));
        assert!(allowance.request(start + Duration::from_millis(502)).is_err());
        // However long nobody asked, no more than a second's is there at once.
        let later = start + Duration::from_hours(1);
        assert_eq!((0..9).filter(|_| allowance.request(later).is_ok()).count(), 2);
    }

    #[test]
    fn bytes_that_came_too_fast_are_paid_before_the_next_request_and_no_debt_is_for_ever() {
        let (allowance, start) = (of(None, Some(1_000)), Instant::now());
        assert_eq!(allowance.request(start), Ok(()));
        allowance.came(4_000);
        let wait = allowance.request(start).unwrap_err();
        assert!(wait > Duration::from_millis(2_900) && wait < Duration::from_millis(3_100), "{wait:?}");
        assert_eq!(allowance.request(start + Duration::from_secs(4)), Ok(()));
        allowance.came(usize::MAX);
        assert_eq!(allowance.request(start + Duration::from_secs(4)), Err(LONGEST));
        assert_eq!(allowance.request(start + Duration::from_secs(70)), Ok(()));
    }
}
