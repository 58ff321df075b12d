//! Syslog over TCP and UDP. What is said over TCP waits in the connection while the sink takes nothing; what comes over UDP then is
//! dropped by the kernel.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parsers::line::severity_of_syslog;
use parsers::stage::Fields;
use parsers::syslog::{Framing, Message};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::inlet::{Inlet, Record};
use super::pump::Pump;
use super::streams::Streams;
use super::{FeedOptions, Means};
use crate::report::Counters;
use crate::run::now;

/// Label `job`.
const JOB: &str = "syslog";

/// Open connections of one listener; more wait in the kernel's queue. With a longest message each they bound what is held.
const MAX_CONNECTIONS: usize = 1024;

/// Bytes read at once from a connection.
const CHUNK: usize = 16 * 1024;

/// Bytes of a datagram at most.
const DATAGRAM: usize = 64 * 1024;

/// After a failed accept or receive (descriptors used up) the listener rests, so that it does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Element of structured data by which OpenTelemetry's specification gives a message its ids.
const OPENTELEMETRY: &str = "opentelemetry";

/// Over what messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams, a message each.
    Udp,
}

/// Where to listen, and what to do.
#[derive(Debug, Clone)]
pub struct SyslogOptions {
    /// Over what.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// Whether a record has the time that the message says, and not that of its arrival.
    pub use_incoming_timestamp: bool,
    /// Bytes that a message may have; longer ones keep their head.
    pub max_message_bytes: usize,
    /// A connection on which nothing comes for so long is closed.
    pub idle_timeout: Duration,
    /// What is done to the messages.
    pub feed: FeedOptions,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// A listener that is bound.
#[derive(Debug)]
pub struct Syslog {
    /// Where, with the port that the system chose for 0.
    pub address: SocketAddr,
    /// For people, such as `syslog tcp://127.0.0.1:1514`.
    pub name: String,
    socket: Socket,
    options: SyslogOptions,
}

impl Syslog {
    /// Binds.
    pub async fn bind(options: SyslogOptions) -> io::Result<Self> {
        let (socket, address, transport) = match options.transport {
            Transport::Tcp => {
                let socket = TcpListener::bind(options.address).await?;
                let address = socket.local_addr()?;
                (Socket::Tcp(socket), address, "tcp")
            }
            Transport::Udp => {
                let socket = UdpSocket::bind(options.address).await?;
                let address = socket.local_addr()?;
                (Socket::Udp(socket), address, "udp")
            }
        };
        Ok(Self { address, name: format!("syslog {transport}://{address}"), socket, options })
    }

    /// Takes messages until the shutdown.
    pub async fn run(self, means: Means) {
        let streams = Streams::new(&self.name, JOB, &self.options.feed, &[], &means);
        let (inlet, queue) = Inlet::new();
        let batch_bytes = self.options.feed.batch_bytes;
        let taking = Taking {
            inlet,
            counters: Arc::clone(&means.counters),
            options: Arc::new(self.options),
            shutdown: means.shutdown.clone(),
        };
        let reading = async move {
            match self.socket {
                Socket::Tcp(socket) => taking.connections(socket).await,
                Socket::Udp(socket) => taking.datagrams(&socket).await,
            }
        };
        tokio::join!(reading, Pump::new(streams, means, batch_bytes).run(queue));
    }
}

/// What every connection has.
#[derive(Clone)]
struct Taking {
    inlet: Inlet,
    counters: Arc<Counters>,
    options: Arc<SyslogOptions>,
    shutdown: CancellationToken,
}

impl Taking {
    async fn connections(self, socket: TcpListener) {
        let (open, tasks) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), TaskTracker::new());
        let shutdown = self.shutdown.clone();
        let accepting = async {
            loop {
                // It is never closed.
                let Ok(permit) = Arc::clone(&open).acquire_owned().await else { return };
                match socket.accept().await {
                    Ok((stream, from)) => {
                        let taking = self.clone();
                        tasks.spawn(async move {
                            taking.connection(stream, from.ip()).await;
                            drop(permit);
                        });
                    }
                    Err(error) => self.failed(&error).await,
                }
            }
        };
        shutdown.run_until_cancelled(accepting).await;
        tasks.close();
        tasks.wait().await;
    }

    async fn connection(&self, mut stream: TcpStream, from: IpAddr) {
        let mut framing = Framing::new(self.options.max_message_bytes);
        let (mut buffer, mut records) = (vec![0; CHUNK], Vec::new());
        loop {
            // Only reading ends at the shutdown: what was read is still handed on.
            let reading = tokio::time::timeout(self.options.idle_timeout, stream.read(&mut buffer));
            let read = self.shutdown.run_until_cancelled(reading).await;
            let now = now();
            let mut take =
                |message: &[u8], cut: u64| records.push(record(message, cut, from, now, &self.options));
            let open = match read {
                Some(Ok(Ok(read @ 1..))) => {
                    framing.push(buffer.get(..read).unwrap_or_default(), &mut take);
                    true
                }
                // The end, one way or another: what was begun is all that will come of it.
                _ => {
                    framing.finish(&mut take);
                    false
                }
            };
            for record in records.drain(..) {
                if !self.inlet.put(record).await {
                    return;
                }
            }
            if !open {
                return;
            }
        }
    }

    async fn datagrams(self, socket: &UdpSocket) {
        let mut buffer = vec![0; DATAGRAM];
        while let Some(received) = self.shutdown.run_until_cancelled(socket.recv_from(&mut buffer)).await {
            let (read, from) = match received {
                Ok(received) => received,
                Err(error) => {
                    self.failed(&error).await;
                    continue;
                }
            };
            let message = buffer.get(..read).unwrap_or_default();
            let message = message.strip_suffix(b"\0").unwrap_or(message).trim_ascii_end();
            let kept = message.get(..self.options.max_message_bytes).unwrap_or(message);
            let cut = (message.len() - kept.len()) as u64;
            if !kept.is_empty() && !self.inlet.put(record(kept, cut, from.ip(), now(), &self.options)).await {
                return;
            }
        }
    }

    async fn failed(&self, error: &io::Error) {
        tracing::warn!(%error, "syslog: nothing can be taken for a moment");
        self.counters.read_errors.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}

fn record(bytes: &[u8], cut: u64, from: IpAddr, now: u64, options: &SyslogOptions) -> Record {
    let message = Message::parse(bytes, now);
    let mut labels = Fields::default();
    if !options.feed.relabel.is_empty() {
        discovered(&message, from, &mut labels);
    }
    let mut metadata = Fields::default();
    let put = |to: &mut Fields, name: &str, value: Option<&str>| {
        if let Some(value) = value {
            to.set(name, value);
        }
    };
    put(&mut labels, "host", message.hostname);
    labels.set("service_name", message.app_name.unwrap_or(JOB));
    put(&mut metadata, "facility", message.facility_keyword());
    put(&mut metadata, "proc_id", message.proc_id);
    put(&mut metadata, "msg_id", message.msg_id);
    for parameter in &message.structured {
        let known = parameter.element == OPENTELEMETRY && matches!(parameter.name, "trace_id" | "span_id");
        let name =
            if known { parameter.name.to_owned() } else { named(&[parameter.element, parameter.name]) };
        metadata.set(&name, &*parameter.value);
    }
    if let Some(severity) = message.severity {
        metadata.set("detected_level", severity_of_syslog(severity).as_str());
    }
    Record {
        time: message.time.filter(|_| options.use_incoming_timestamp),
        text: message.text.to_vec(),
        truncated: cut,
        labels,
        metadata,
        place: None,
        read: bytes.len() as u64 + cut,
    }
}

/// What rules may look at, under Promtail's names.
fn discovered(message: &Message<'_>, from: IpAddr, labels: &mut Fields) {
    let from = from.to_string();
    for (name, value) in [
        ("__syslog_connection_ip_address", Some(&*from)),
        ("__syslog_connection_hostname", Some(&*from)),
        ("__syslog_message_severity", message.severity_keyword()),
        ("__syslog_message_facility", message.facility_keyword()),
        ("__syslog_message_hostname", message.hostname),
        ("__syslog_message_app_name", message.app_name),
        ("__syslog_message_proc_id", message.proc_id),
        ("__syslog_message_msg_id", message.msg_id),
    ] {
        if let Some(value) = value {
            labels.set(name, value);
        }
    }
    for parameter in &message.structured {
        let name = named(&["__syslog_message_sd", parameter.element, parameter.name]);
        labels.set(&name, &*parameter.value);
    }
}

/// A name of several parts; what cannot stand in a name is `_`.
fn named(parts: &[&str]) -> String {
    parts.join("_").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
