//! A network that fails: a proxy between a sender and its server which refuses connections, answers errors in the server's
//! place, cuts connections, and loses answers to what the server has taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::corpus::Dice;

/// What befalls a connection.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It ends at once.
    Refused,
    /// An answer with this status comes from nowhere.
    Answered(&'static str),
    /// It ends after so many bytes of requests.
    Cut(u64),
    /// The answer that follows so many bytes of requests is lost, and the connection with it.
    AnswerLost(u64),
    /// Nothing.
    Good,
}

/// The proxy. It fails until [`Faulty::heal`].
#[derive(Debug, Clone)]
pub struct Faulty {
    /// Where senders connect.
    pub address: SocketAddr,
    healed: Arc<AtomicBool>,
    faults: Arc<AtomicU64>,
}

impl Faulty {
    /// Listens, and hands on to `server`.
    pub async fn start(server: SocketAddr, seed: u64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let proxy = Self { address: listener.local_addr()?, healed: Arc::default(), faults: Arc::default() };
        let (healed, faults) = (Arc::clone(&proxy.healed), Arc::clone(&proxy.faults));
        tokio::spawn(async move {
            let mut dice = Dice::new(seed);
            while let Ok((client, _)) = listener.accept().await {
                let fate = if healed.load(Relaxed) { Fate::Good } else { fate(&mut dice) };
                if !matches!(fate, Fate::Good) {
                    faults.fetch_add(1, Relaxed);
                }
                tokio::spawn(async move {
                    // A connection that ends in an error is what this is for.
                    let _ = connection(client, server, fate).await;
                });
            }
        });
        Ok(proxy)
    }

    /// From now on all new connections are good.
    pub fn heal(&self) {
        self.healed.store(true, Relaxed);
    }

    /// Connections that something befell.
    pub fn faults(&self) -> u64 {
        self.faults.load(Relaxed)
    }
}

fn fate(dice: &mut Dice) -> Fate {
    let bytes = dice.below(400_000);
    match dice.below(6) {
        0 => Fate::Refused,
        1 => Fate::Answered("500 Internal Server Error"),
        2 => Fate::Answered("429 Too Many Requests\r\nretry-after: 0"),
        3 => Fate::Cut(bytes),
        _ => Fate::AnswerLost(bytes),
    }
}

async fn connection(mut client: TcpStream, server: SocketAddr, fate: Fate) -> std::io::Result<()> {
    let mut buffer = vec![0u8; 64 << 10];
    match fate {
        Fate::Refused => return Ok(()),
        Fate::Answered(status) => {
            // The whole request is taken first, as far as it comes at once, so that the answer is read and not the reset.
            let _ = client.read(&mut buffer).await?;
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            client.write_all(answer.as_bytes()).await?;
            return client.shutdown().await;
        }
        Fate::Cut(_) | Fate::AnswerLost(_) | Fate::Good => {}
    }
    let mut upstream = TcpStream::connect(server).await?;
    let mut sent = 0;
    let mut answers = vec![0u8; 64 << 10];
    loop {
        tokio::select! {
            read = client.read(&mut buffer) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                upstream.write_all(&buffer[..read]).await?;
                sent += read as u64;
                if matches!(fate, Fate::Cut(after) if sent > after) {
                    return Ok(());
                }
            }
            read = upstream.read(&mut answers) => {
                let read = read?;
                if read == 0 || matches!(fate, Fate::AnswerLost(after) if sent > after) {
                    return Ok(());
                }
                client.write_all(&answers[..read]).await?;
            }
        }
    }
}
