//! Time that passes only when nobody has anything left to do: what a simulation runs on. Tasks are futures; what they wait for is
//! the clock, a place among a bounded number ([`Places`]) or a message of a [`Queue`]. One thread, and the order of all that
//! happens follows from the order in which it was asked for.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::channel::oneshot;
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, Stream};

/// A simulated clock, in nanoseconds, and the tasks that live by it. A cheap clone.
#[derive(Clone, Default)]
pub(super) struct Engine(Rc<Inner>);

#[derive(Default)]
struct Inner {
    now: Cell<u64>,
    asked: Cell<u64>,
    alarms: RefCell<BinaryHeap<Reverse<(u64, u64)>>>,
    sleepers: RefCell<BTreeMap<u64, oneshot::Sender<()>>>,
    spawned: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
}

/// Notes that somebody wants to go on.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Engine {
    /// Nanoseconds since the simulation began.
    pub(super) fn now(&self) -> u64 {
        self.0.now.get()
    }

    /// Comes back when so many nanoseconds have passed.
    pub(super) async fn wait(&self, nanos: u64) {
        let ticket = self.0.asked.get();
        self.0.asked.set(ticket + 1);
        self.0.alarms.borrow_mut().push(Reverse((self.now() + nanos, ticket)));
        let (ring, rung) = oneshot::channel();
        self.0.sleepers.borrow_mut().insert(ticket, ring);
        let _ = rung.await;
    }

    /// Another task, which begins when the present one waits.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.spawned.borrow_mut().push(Box::pin(task));
    }

    /// Runs until nobody waits for the clock any more. Tasks that wait for messages then are dropped.
    pub(super) fn run(&self) {
        let mut tasks = FuturesUnordered::new();
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        loop {
            tasks.extend(self.0.spawned.borrow_mut().drain(..));
            flag.0.store(false, Ordering::Relaxed);
            let polled = std::pin::Pin::new(&mut tasks).poll_next(&mut Context::from_waker(&waker));
            let idle = match polled {
                Poll::Ready(Some(())) => false,
                Poll::Ready(None) => true,
                Poll::Pending => !flag.0.load(Ordering::Relaxed),
            };
            if idle && self.0.spawned.borrow().is_empty() && !self.ring() {
                return;
            }
        }
    }

    /// Goes to the next alarm; none is left if this is false.
    fn ring(&self) -> bool {
        let Some(Reverse((time, ticket))) = self.0.alarms.borrow_mut().pop() else { return false };
        self.0.now.set(time);
        if let Some(sleeper) = self.0.sleepers.borrow_mut().remove(&ticket) {
            let _ = sleeper.send(());
        }
        true
    }
}

/// Numbered places of which each is taken by one at a time, first come, first served: threads, connections, a lock.
#[derive(Clone)]
pub(super) struct Places(Rc<RefCell<Held>>);

struct Held {
    free: VecDeque<usize>,
    waiting: VecDeque<oneshot::Sender<usize>>,
}

/// A place, until dropped.
pub(super) struct Place {
    places: Places,
    /// Which one, from 0.
    pub(super) number: usize,
}

impl Places {
    /// So many.
    pub(super) fn new(count: usize) -> Self {
        Self(Rc::new(RefCell::new(Held { free: (0..count).collect(), waiting: VecDeque::new() })))
    }

    /// A free place, when it is one's turn.
    pub(super) async fn take(&self) -> Place {
        let free = self.0.borrow_mut().free.pop_front();
        let number = match free {
            Some(number) => number,
            None => {
                let (give, given) = oneshot::channel();
                self.0.borrow_mut().waiting.push_back(give);
                // The sender stays in the list until it is used.
                given.await.unwrap_or_default()
            }
        };
        Place { places: self.clone(), number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.0.borrow_mut();
        let mut number = self.number;
        while let Some(next) = held.waiting.pop_front() {
            match next.send(number) {
                Ok(()) => return,
                Err(back) => number = back,
            }
        }
        held.free.push_back(number);
    }
}

/// Messages that wait for a consumer.
pub(super) struct Queue<T>(Rc<RefCell<Waiting<T>>>);

struct Waiting<T> {
    messages: VecDeque<T>,
    consumers: VecDeque<oneshot::Sender<T>>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Waiting { messages: VecDeque::new(), consumers: VecDeque::new() })))
    }
}

impl<T> Queue<T> {
    /// Puts one at the end.
    pub(super) fn put(&self, mut message: T) {
        let mut waiting = self.0.borrow_mut();
        while let Some(consumer) = waiting.consumers.pop_front() {
            match consumer.send(message) {
                Ok(()) => return,
                Err(back) => message = back,
            }
        }
        waiting.messages.push_back(message);
    }

    /// Takes the first, when there is one; `None` if the queue was dropped.
    pub(super) async fn take(&self) -> Option<T> {
        let first = self.0.borrow_mut().messages.pop_front();
        if first.is_some() {
            return first;
        }
        let (give, given) = oneshot::channel();
        self.0.borrow_mut().consumers.push_back(give);
        given.await.ok()
    }
}
