//! `/loki/api/v1/tail`: lines as they arrive, over a WebSocket. What a client does not read in time is dropped and told, so that no
//! client holds memory or makes another one wait.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use parsers::record::{Batch, Labels};
use query::live;
use query::logql::{self, Data, Entry, Expr, Limits, RangeParams, Stream};
use serde_json::json;
use store::read::Direction;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::response;
use crate::State;
use crate::blocking::RETRY_AFTER;
use crate::failure::Failure;
use crate::parameters::{Parameters, SECOND, now};
use crate::tenant::Extract;

mod closing;

/// Clients at once. Each costs a query over every batch that arrives.
const MAX_CLIENTS: usize = 64;
/// Older lines that a client is shown first when it does not say, as Loki has it.
const DEFAULT_HISTORY: usize = 100;
/// Most of them, as Loki has it.
const MAX_HISTORY: usize = 5_000;
/// How old the first of them may be when the client does not say, as Loki has it.
const LOOKBACK: u64 = 3_600 * SECOND;
/// Longest delay, as Loki has it.
const MAX_DELAY: u64 = 5;
/// Lines that wait for a client: some messages of what a browser can show.
const MAX_WAITING: usize = 5_000;
/// Lines of one message.
const MESSAGE_LINES: usize = 1_000;
/// Dropped lines that are named in one message; the others are counted with the last.
const MAX_DROPPED: usize = 100;
/// Between two messages at least: faster than anybody reads, slow enough to be worth a message.
const PACE: Duration = Duration::from_millis(200);
/// A client that takes a message no sooner is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pings; a client that has answered none of three is gone.
const PING: Duration = Duration::from_secs(15);

/// Batches as they are stored.
pub trait Follow: Send + Sync {
    /// From now on. Whoever is too slow loses the oldest.
    fn follow(&self) -> Receiver<Arc<Batch>>;

    /// What of a batch may be shown.
    fn shown(&self, batch: &Arc<Batch>) -> Arc<Batch> {
        Arc::clone(batch)
    }
}

/// Lets so many clients in. A cheap clone.
#[derive(Debug, Clone)]
pub struct Tails(Arc<Semaphore>);

impl Default for Tails {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CLIENTS)))
    }
}

/// What is asked.
#[derive(Debug, Clone)]
struct TailRequest {
    query: String,
    /// Nanoseconds.
    start: u64,
    limit: usize,
    delay: Duration,
}

impl TailRequest {
    fn read(parameters: &Parameters, now: u64) -> Result<Self, Failure> {
        let delay = parameters.count("delay_for")?.unwrap_or(0) as u64;
        if delay > MAX_DELAY {
            return Err(Failure::refused(format!("delay_for can't be greater than {MAX_DELAY}")));
        }
        let query = parameters.get("query");
        Ok(Self {
            query: query
                .ok_or_else(|| Failure::refused("query is missing: expected LogQL in the parameter `query`"))?
                .to_owned(),
            start: parameters.time("start")?.unwrap_or_else(|| now.saturating_sub(LOOKBACK)),
            limit: parameters.count("limit")?.unwrap_or(DEFAULT_HISTORY).min(MAX_HISTORY),
            delay: Duration::from_secs(delay),
        })
    }
}

/// Reads the query and what there is already; what is wrong is said before the connection changes its protocol.
pub(super) async fn tail(Extract(state): Extract<State>, request: Request) -> Result<Response, Response> {
    let (mut parts, body) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &state).await;
    let parameters = Parameters::from_request(Request::from_parts(parts, body), &state).await?;
    let asked = TailRequest::read(&parameters, now()).map_err(IntoResponse::into_response)?;
    let expression = logql::parse(&asked.query).map_err(|error| Failure::from(error).into_response())?;
    if !expression.is_of_lines() {
        return Err(Failure::refused("only lines can be tailed: expected a log query").into_response());
    }
    let expression = Arc::new(expression);
    let upgrade = upgrade.map_err(IntoResponse::into_response)?;
    let Ok(place) = Arc::clone(&state.tails.0).try_acquire_owned() else {
        let after = [(header::RETRY_AFTER, RETRY_AFTER.as_secs().to_string())];
        let detail = format!("{MAX_CLIENTS} clients tail already");
        return Err((StatusCode::SERVICE_UNAVAILABLE, after, detail).into_response());
    };
    // Before the past is read, so that nothing falls between the two.
    let arriving = state.live.follow();
    let past = past(&state, Arc::clone(&expression), &asked).await.map_err(IntoResponse::into_response)?;
    let live = Arc::clone(&state.live);
    let tail = Tail { expression, live, delay: asked.delay, waiting: Waiting::default() };
    let upgrade = upgrade.max_message_size(closing::MAX_MESSAGE).max_frame_size(closing::MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _place = place;
        tail.run(socket, arriving, past).await;
    }))
}

/// The newest lines that are stored already.
async fn past(state: &State, expression: Arc<Expr>, asked: &TailRequest) -> Result<Vec<Stream>, Failure> {
    let logs = state.logs.clone();
    let (start, limit) = (asked.start, asked.limit);
    let past = state.reads.run(move || {
        let params = RangeParams {
            start,
            end: now(),
            step: Duration::from_secs(1),
            interval: Duration::ZERO,
            limit: limit.max(1),
            direction: Direction::Backward,
        };
        match logql::evaluate_range(&expression, &*logs, &params, &Limits::default())?.data {
            Data::Streams(_) if limit == 0 => Ok(Vec::new()),
            Data::Streams(streams) => Ok(streams),
            Data::Matrix(_) | Data::Vector(_) | Data::Scalar(_) => Ok(Vec::new()),
        }
    });
    past.await?
}

/// One line on its way.
struct Line {
    stream: Arc<Labels>,
    entry: Entry,
}

/// Lines on their way, and those that were lost.
#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    dropped: Vec<(u64, Arc<Labels>)>,
    /// Not named any more.
    more_dropped: u64,
    /// What was read of the past: it may arrive as well, if it was stored while it was read.
    past: HashSet<u64>,
}

/// What makes two lines the same one.
fn identity(line: &Line) -> u64 {
    let mut hasher = DefaultHasher::new();
    (line.entry.time, &line.entry.line, &*line.stream).hash(&mut hasher);
    hasher.finish()
}

impl Waiting {
    /// Begins with what there was already.
    fn of_past(streams: Vec<Stream>) -> Self {
        let mut waiting = Self::default();
        waiting.add(streams);
        waiting.past = waiting.lines.iter().map(identity).collect();
        waiting
    }

    fn add(&mut self, streams: Vec<Stream>) {
        let lines = streams.into_iter().flat_map(|stream| {
            let labels = stream.labels;
            stream.entries.into_iter().map(move |entry| Line { stream: Arc::clone(&labels), entry })
        });
        let past = &self.past;
        self.lines.extend(lines.filter(|line| past.is_empty() || !past.contains(&identity(line))));
        self.lines.make_contiguous().sort_by_key(|line| line.entry.time);
        while self.lines.len() > MAX_WAITING {
            let Some(line) = self.lines.pop_front() else { break };
            self.lose(line.entry.time, line.stream);
        }
    }

    fn lose(&mut self, time: u64, stream: Arc<Labels>) {
        if self.dropped.len() < MAX_DROPPED {
            self.dropped.push((time, stream));
        } else {
            self.more_dropped += 1;
        }
    }

    /// The next message: lines up to this time, and what was dropped.
    fn message(&mut self, until: u64) -> Option<String> {
        let due = self.lines.iter().take(MESSAGE_LINES).take_while(|line| line.entry.time <= until).count();
        if due == 0 && self.dropped.is_empty() {
            return None;
        }
        let mut streams: Vec<Stream> = Vec::new();
        for line in self.lines.drain(..due) {
            match streams.iter_mut().find(|stream| stream.labels == line.stream) {
                Some(stream) => stream.entries.push(line.entry),
                None => streams.push(Stream { labels: line.stream, entries: vec![line.entry] }),
            }
        }
        let mut dropped: Vec<_> = self
            .dropped
            .drain(..)
            .map(|(time, labels)| json!({ "timestamp": time.to_string(), "labels": labels.iter().collect::<BTreeMap<_, _>>() }))
            .collect();
        if self.more_dropped > 0 {
            let labels = json!({ "more": self.more_dropped.to_string() });
            dropped.push(json!({ "timestamp": now().to_string(), "labels": labels }));
            self.more_dropped = 0;
        }
        Some(response::tailed(&streams, &dropped))
    }
}

/// One client.
struct Tail {
    expression: Arc<Expr>,
    live: Arc<dyn Follow>,
    delay: Duration,
    waiting: Waiting,
}

impl Tail {
    async fn run(mut self, mut socket: WebSocket, mut arriving: Receiver<Arc<Batch>>, past: Vec<Stream>) {
        self.waiting = Waiting::of_past(past);
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let reason = loop {
            tokio::select! {
                batch = arriving.recv() => match batch {
                    Ok(batch) => if let Err(reason) = self.take(batch).await { break reason },
                    Err(RecvError::Lagged(_)) => self.waiting.lose(now(), Arc::default()),
                    Err(RecvError::Closed) => break "the gateway stops".to_owned(),
                },
                _ = pace.tick() => {
                    let until = now().saturating_sub(self.delay.as_nanos() as u64);
                    // What is dated ahead of our clock is not held back, unless a delay is asked for.
                    let until = if self.delay.is_zero() { u64::MAX } else { until };
                    if let Some(text) = self.waiting.message(until)
                        && !send(&mut socket, Message::Text(text.into())).await {
                        return;
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() > PING * 3 || !send(&mut socket, Message::Ping(Vec::new().into())).await {
                        return;
                    }
                }
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_))) => return closing::finish(socket).await,
                    Some(Err(error)) => match closing::fault(&error) {
                        Some((code, reason)) => return closing::close(socket, code, reason).await,
                        None => return,
                    },
                    None => return,
                    Some(Ok(_)) => heard = Instant::now(),
                },
            }
        };
        closing::close(socket, close_code::ERROR, reason).await;
    }

    /// The lines of a batch that are asked for. Reading them takes a thread of its own; an error ends the tail.
    async fn take(&mut self, batch: Arc<Batch>) -> Result<(), String> {
        let (expression, live) = (Arc::clone(&self.expression), Arc::clone(&self.live));
        let read =
            tokio::task::spawn_blocking(move || live::lines(&expression, &live.shown(&batch), MAX_WAITING));
        match read.await {
            Ok(Ok(streams)) => {
                let lines: usize = streams.iter().map(|stream| stream.entries.len()).sum();
                if lines >= MAX_WAITING {
                    // The rest of the batch was not read.
                    self.waiting.lose(now(), Arc::default());
                }
                self.waiting.add(streams);
                Ok(())
            }
            // A close frame has 123 bytes for it.
            Ok(Err(error)) => Err(error.to_string().chars().take(100).collect()),
            Err(_) => Err("the query ended early".to_owned()),
        }
    }
}

/// Whether the client has taken it in time.
async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(SEND_TIMEOUT, socket.send(message)).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests;
