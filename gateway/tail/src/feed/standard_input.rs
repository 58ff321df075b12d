//! Standard input, or anything else that is read until it ends.

use std::io::{self, ErrorKind, Read};

use tokio::sync::mpsc;

use super::lines::Lines;
use super::pump::Pump;
use super::{FeedOptions, Means};

/// Bytes read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Chunks that wait to be taken; with a full batch, what is in memory at most.
const CHUNKS: usize = 4;

/// Name in figures and labels.
const NAME: &str = "stdin";

/// Why not all of it arrived.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It could not be read to its end. What was read has been delivered.
    #[error("standard input: {0}")]
    Read(#[from] io::Error),
    /// The sink did not take the last of it before the time to stop was over.
    #[error("standard input: the last records were not taken")]
    NotTaken,
}

/// Reads lines until the end of the input or a shutdown, and returns when all of them are safe.
pub async fn standard_input(
    input: impl Read + Send + 'static,
    options: &FeedOptions,
    means: Means,
) -> Result<(), InputError> {
    let Some(lines) = Lines::new(NAME, options, &means) else {
        tracing::warn!("relabelling drops all of standard input");
        return Ok(());
    };
    let (chunks, mut read) = mpsc::channel(CHUNKS);
    // A read from a terminal or a pipe cannot be interrupted: the thread is left behind at a shutdown.
    std::thread::Builder::new().name("stdin".into()).spawn(move || read_chunks(input, &chunks))?;
    let (items, queue) = mpsc::channel(1);
    let shutdown = means.shutdown.clone();
    let reading = async move {
        loop {
            let chunk = tokio::select! {
                chunk = read.recv() => chunk,
                () = shutdown.cancelled(), if !read.is_closed() => {
                    read.close();
                    continue;
                }
            };
            match chunk {
                Some(Ok(bytes)) => {
                    if items.send(bytes).await.is_err() {
                        return Ok(());
                    }
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            }
        }
    };
    let (ended, taken) = tokio::join!(reading, Pump::new(lines, means, options.batch_bytes).run(queue));
    if !taken {
        return Err(InputError::NotTaken);
    }
    Ok(ended?)
}

fn read_chunks(mut input: impl Read, chunks: &mpsc::Sender<io::Result<Vec<u8>>>) {
    loop {
        let mut bytes = vec![0; CHUNK];
        let chunk = match input.read(&mut bytes) {
            Ok(0) => return,
            Ok(read) => {
                bytes.truncate(read);
                Ok(bytes)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = chunk.is_err();
        if chunks.blocking_send(chunk).is_err() || failed {
            return;
        }
    }
}
