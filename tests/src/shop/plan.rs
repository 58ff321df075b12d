//! What a shop is to be like: how many visits, and the one thing that is wrong with it.

/// A cause that is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is wrong.
    None,
    /// The catalog's canary looks for prices with a statement that has no index.
    SlowQuery,
    /// As [`Fault::SlowQuery`], and the canary's pods have a thread each: who calls them waits before a request is begun.
    Crowded,
    /// As [`Fault::SlowQuery`], and the frontend gives up pages that take too long.
    Deadline,
    /// The pods of the inventory do their work one request at a time.
    Lock,
    /// From the turn on, the acquirer, which reports nothing itself, refuses two connections of three.
    DeadPeer,
    /// All work on `node-b` takes several times as long.
    NoisyNeighbour,
    /// The clock of `node-c` is three seconds ahead.
    Clock,
    /// At the turn, reviews get a new version, which cannot take ratings without a text.
    Deployment,
    /// From the turn on, the inventory refuses most calls, and the checkout calls up to five times.
    RetryStorm,
    /// From the turn on, a mail takes longer than the time between two orders.
    QueueLag,
    /// For one tenant, reviews ask the database once a review.
    SlowTenant,
    /// From the turn on, the cache holds nothing.
    CacheFlush,
    /// From the turn on, shipping reports no spans.
    Silent,
    /// One pod of the checkout gets too little CPU for a while, every now and then.
    Throttled,
    /// For some parcels the label printer warms up first; it says so in lines that never have an id.
    Printer,
}

/// The tenant that [`Fault::SlowTenant`] is about.
pub const SLOW_TENANT: &str = "globex";
/// Tenants.
pub(super) const TENANTS: [&str; 8] =
    ["acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell"];
/// The host of [`Fault::NoisyNeighbour`].
pub const NOISY_HOST: &str = "node-b";
/// The host of [`Fault::Clock`].
pub const WRONG_CLOCK_HOST: &str = "node-c";
/// How far that clock is ahead, in nanoseconds.
pub const WRONG_CLOCK_AHEAD: i64 = 3_000_000_000;

/// A shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Visits before it closes.
    pub visits: u64,
    /// Milliseconds between two arrivals, on average; now and then several come at once.
    pub spacing_ms: u64,
    /// What is wrong.
    pub fault: Fault,
    /// Of a thousand lines, those whose ids are left out.
    pub hidden: u64,
    /// Whether payment knows 64 bits of a trace id only, as old Zipkin libraries do.
    pub short_ids: bool,
}

impl Fault {
    /// Whether the catalog's canary runs the slow statement.
    pub(super) fn slows_prices(self) -> bool {
        matches!(self, Self::SlowQuery | Self::Crowded | Self::Deadline)
    }
}

impl Plan {
    /// A shop of some minutes, in which each service has several requests at hand now and then.
    pub fn new(seed: u64, fault: Fault) -> Self {
        Self { seed, visits: 400, spacing_ms: 250, fault, hidden: 0, short_ids: false }
    }
}
