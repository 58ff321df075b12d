//! The way of records from where they are read to the pump: bounded in bytes, so that whoever reads waits.

use std::sync::Arc;

use parsers::record::FileId;
use parsers::stage::Fields;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes of records that wait to be taken: as much as a batch.
const ROOM: u32 = 1024 * 1024;

/// Records that wait to be taken; most are far below a kilobyte.
const RECORDS: usize = 1024;

/// What a record costs beside its text.
const OVERHEAD: usize = 512;

/// Where in its source a record stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Which sequence of records.
    pub file: FileId,
    /// Its number in it.
    pub number: u64,
    /// By what reading starts again behind it.
    pub cursor: Arc<str>,
}

/// A record as it was read.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// When it happened, if it says so.
    pub time: Option<u64>,
    pub text: Vec<u8>,
    /// Bytes cut from its end.
    pub truncated: u64,
    /// Labels of this record; those that begin with `__` are for relabelling only.
    pub labels: Fields,
    pub metadata: Fields,
    /// `None` if the source has no places of its own.
    pub place: Option<Place>,
    /// Bytes that were read for it.
    pub read: u64,
}

/// A record with the room that it takes, which is given back when it is in a batch.
pub(super) struct Waiting {
    pub record: Record,
    _room: Option<OwnedSemaphorePermit>,
}

impl From<Record> for Waiting {
    fn from(record: Record) -> Self {
        Self { record, _room: None }
    }
}

/// Where those who read put records.
#[derive(Clone)]
pub(super) struct Inlet {
    records: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

impl Inlet {
    pub fn new() -> (Self, mpsc::Receiver<Waiting>) {
        let (records, queue) = mpsc::channel(RECORDS);
        (Self { records, room: Arc::new(Semaphore::new(ROOM as usize)) }, queue)
    }

    /// Waits for room. `false` if nobody takes records any more.
    pub async fn put(&self, record: Record) -> bool {
        let fields =
            |fields: &Fields| fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let size = record.text.len() + fields(&record.labels) + fields(&record.metadata) + OVERHEAD;
        let wanted = u32::try_from(size).unwrap_or(u32::MAX).min(ROOM);
        // It is never closed.
        let room = Arc::clone(&self.room).acquire_many_owned(wanted).await.ok();
        self.records.send(Waiting { record, _room: room }).await.is_ok()
    }
}
