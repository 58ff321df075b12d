//! The vocabulary in which visits are written: a request arrives at a pod, work is done, another service or a database is asked, a
//! line is said. All of it takes time on the shop's clock, and is noted with what is true of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::engine::{Engine, Place, Places, Queue};
use super::lines::{Say, access};
use super::plan::{Fault, NOISY_HOST, Plan, WRONG_CLOCK_AHEAD, WRONG_CLOCK_HOST};
use super::pods::{CANARY, DEPLOYED, Pod, Service, pod, pods};
use super::traffic::{Kind, Line, Span, Thrown, Traffic, Value};
use crate::corpus::Dice;

/// Nanoseconds in a millisecond.
pub(super) const MS: u64 = 1_000_000;
/// Every protocol carries whole microseconds.
const TICK: u64 = 1_000;
/// Connections to the database that a pod has.
const CONNECTIONS: usize = 8;
/// How much longer work takes beside a noisy neighbour.
const NOISY: u64 = 6;
/// How much longer work takes in a throttled pod.
const THROTTLED: u64 = 100;
/// A throttled pod is short of CPU in the first part of each of these periods.
pub(super) const THROTTLE_PERIOD: u64 = 80_000 * MS;
/// How long.
pub(super) const THROTTLE_LASTS: u64 = 40_000 * MS;

/// Who asks, as it travels with a request.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) trace: u128,
    pub(super) span: Option<u64>,
    /// The id that the edge gives each request.
    pub(super) request: Rc<str>,
    pub(super) tenant: &'static str,
    pub(super) user: u64,
}

/// A request that a pod has at hand.
pub(super) struct Serving {
    pub(super) caller: Caller,
    pub(super) span: Span,
    silent: bool,
    place: Place,
}

impl Serving {
    /// What it gives on to those whom it asks.
    pub(super) fn within(&self, span: u64) -> Caller {
        let span = if self.silent { self.caller.span } else { Some(span) };
        Caller { span, ..self.caller.clone() }
    }

    pub(super) fn set(&mut self, key: &'static str, value: &str) {
        self.span.attributes.push((key, Value::Text(value.to_owned())));
    }
}

/// An order on its way to the mailer.
pub(super) type Order = (Caller, u64);

/// The shop.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) dice: RefCell<Dice>,
    pub(super) plan: Plan,
    pub(super) opened: u64,
    pods: Vec<Pod>,
    threads: Vec<Places>,
    pools: Vec<Places>,
    /// A lock a pod.
    pub(super) locks: Vec<Places>,
    pub(super) orders: Queue<Order>,
    /// From when on something is wrong, where that is not from the beginning.
    pub(super) turned: Cell<Option<u64>>,
    noted: RefCell<(Vec<Span>, Vec<Line>)>,
}

impl World {
    /// An empty one, which opens at so many nanoseconds since the epoch.
    pub(super) fn new(plan: Plan, opened: u64) -> Self {
        let mut dice = Dice::new(plan.seed);
        let mut pods = pods(&mut dice);
        if plan.fault == Fault::Deployment {
            for host in ["node-a", "node-c"] {
                pods.push(pod(&mut dice, Service::Reviews, DEPLOYED, host, 4));
            }
        }
        let places = |count: fn(&Pod) -> usize| pods.iter().map(|pod| Places::new(count(pod))).collect();
        Self {
            engine: Engine::default(),
            dice: RefCell::new(dice),
            plan,
            opened,
            threads: pods.iter().map(|pod| Places::new(threads(pod, plan.fault))).collect(),
            pools: places(|_| CONNECTIONS),
            locks: places(|_| 1),
            pods,
            orders: Queue::default(),
            turned: Cell::new(None),
            noted: RefCell::default(),
        }
    }

    /// What was sent until now.
    pub(super) fn close(&self) -> Traffic {
        let (spans, mut lines) = self.noted.take();
        lines.sort_by_key(|line| line.time);
        let ahead = self.pods.iter().map(|pod| self.ahead(pod)).collect();
        Traffic {
            pods: self.pods.clone(),
            spans,
            lines,
            series: Vec::new(),
            ahead,
            turned: self.turned.get(),
            closed: self.engine.now(),
        }
    }

    fn ahead(&self, pod: &Pod) -> i64 {
        let wrong = self.plan.fault == Fault::Clock && pod.host == WRONG_CLOCK_HOST;
        if wrong { WRONG_CLOCK_AHEAD } else { 0 }
    }

    /// Whether this fault is there by now; those that have a turn are not before it.
    pub(super) fn suffers(&self, fault: Fault) -> bool {
        self.plan.fault == fault && self.turned.get().is_some()
    }

    pub(super) fn pod(&self, serving: &Serving) -> &Pod {
        &self.pods[serving.span.pod]
    }

    pub(super) fn chance(&self, per_mille: u64) -> bool {
        self.dice.borrow_mut().chance(per_mille)
    }

    pub(super) fn below(&self, bound: u64) -> u64 {
        self.dice.borrow_mut().below(bound)
    }

    /// Passes about so many microseconds, and no load or neighbour makes it more.
    pub(super) async fn pass(&self, micros: u64) {
        let chance = self.dice.borrow_mut().waiting(0.4);
        self.engine.wait(((micros as f64) * (0.6 + chance)) as u64 * TICK).await;
    }

    /// Works for about so many microseconds of CPU.
    pub(super) async fn work(&self, serving: &Serving, micros: u64) {
        self.pass(micros * self.slowness(serving)).await;
    }

    fn slowness(&self, serving: &Serving) -> u64 {
        match self.plan.fault {
            Fault::NoisyNeighbour if self.pod(serving).host == NOISY_HOST => NOISY,
            Fault::Throttled if self.is_throttled(serving.span.pod, self.engine.now()) => THROTTLED,
            _ => 1,
        }
    }

    /// Whether a pod is short of CPU.
    fn is_throttled(&self, pod: usize, now: u64) -> bool {
        Some(pod) == throttled(&self.pods) && now % THROTTLE_PERIOD < THROTTLE_LASTS
    }

    fn weight(&self, pod: &Pod) -> u64 {
        let deployed = self.suffers(Fault::Deployment);
        let retired =
            if pod.version == DEPLOYED { !deployed } else { deployed && pod.service == Service::Reviews };
        if retired { 0 } else { pod.weight }
    }

    /// A pod of this service, by their weights.
    fn choose(&self, service: Service) -> usize {
        let weight = |pod: &Pod| if pod.service == service { self.weight(pod) } else { 0 };
        let all: u64 = self.pods.iter().map(weight).sum();
        let mut ticket = self.below(all.max(1));
        for (number, pod) in self.pods.iter().enumerate() {
            let weight = weight(pod);
            if ticket < weight {
                return number;
            }
            ticket -= weight;
        }
        0
    }

    fn span(&self, pod: usize, caller: &Caller, kind: Kind, name: String) -> Span {
        let start = self.engine.now();
        let id = self.dice.borrow_mut().span_id();
        let (trace, parent) = (caller.trace, caller.span);
        Span {
            pod,
            trace,
            id,
            parent,
            kind,
            name,
            start,
            end: start,
            attributes: Vec::new(),
            error: None,
            thrown: None,
        }
    }

    /// A request arrives at a service, and waits for a thread.
    pub(super) async fn serve(&self, service: Service, caller: Caller, kind: Kind, name: &str) -> Serving {
        let pod = self.choose(service);
        let place = self.threads[pod].take().await;
        let mut span = self.span(pod, &caller, kind, name.to_owned());
        if let Some((method, route)) = name.split_once(' ').filter(|_| kind == Kind::Server) {
            span.attributes.push(("http.request.method", Value::Text(method.to_owned())));
            span.attributes.push(("http.route", Value::Text(route.to_owned())));
        }
        let mut serving = Serving { silent: self.suffers(Fault::Silent), caller, span, place };
        serving.silent &= service == Service::Shipping;
        if service == Service::Catalog {
            let thread = self.thread(&serving);
            serving.set("thread.name", &thread);
        }
        serving
    }

    fn thread(&self, serving: &Serving) -> String {
        match self.pod(serving).service {
            Service::Catalog => format!("http-nio-8080-exec-{}", serving.place.number + 1),
            _ => format!("worker-{}", serving.place.number),
        }
    }

    /// It is answered, shortly after whatever was said last.
    pub(super) async fn answer(&self, mut serving: Serving, status: u16) -> u16 {
        self.pass(40).await;
        serving.span.end = self.engine.now();
        if serving.span.kind == Kind::Server {
            serving.span.attributes.push(("http.response.status_code", Value::Int(i64::from(status))));
        }
        if status >= 500 && serving.span.error.is_none() {
            serving.span.error = Some(format!("answered {status}"));
        }
        if !serving.silent {
            self.noted.borrow_mut().0.push(serving.span);
        }
        status
    }

    /// Asks somebody: a client span round what `work` does, given as a caller.
    pub(super) async fn ask<F: Future<Output = Result<u16, String>>>(
        &self,
        serving: &Serving,
        (kind, name): (Kind, &str),
        attributes: Vec<(&'static str, Value)>,
        work: impl FnOnce(Caller) -> F,
    ) -> u16 {
        let mut span = self.span(serving.span.pod, &serving.within(serving.span.id), kind, name.to_owned());
        span.attributes = attributes;
        let answer = work(serving.within(span.id)).await;
        span.end = self.engine.now();
        let status = match answer {
            Ok(status) => {
                if status >= 500 {
                    span.error = Some(format!("answered {status}"));
                }
                if status > 0 {
                    span.attributes.push(("http.response.status_code", Value::Int(i64::from(status))));
                }
                status
            }
            Err(error) => {
                span.attributes.push(("error.type", Value::Text("ConnectionRefused".to_owned())));
                span.error = Some(error);
                503
            }
        };
        if !serving.silent {
            self.noted.borrow_mut().0.push(span);
        }
        status
    }

    /// A call by HTTP, with the network on both ways.
    pub(super) async fn call<F: Future<Output = u16>>(
        &self,
        serving: &Serving,
        (peer, method): (&str, &str),
        work: impl FnOnce(Caller) -> F,
    ) -> u16 {
        let attributes = vec![
            ("http.request.method", Value::Text(method.to_owned())),
            ("server.address", Value::Text(peer.to_owned())),
            ("server.port", Value::Int(8080)),
        ];
        self.ask(serving, (Kind::Client, method), attributes, async |caller| {
            self.pass(300).await;
            let status = work(caller).await;
            self.pass(300).await;
            Ok(status)
        })
        .await
    }

    /// A statement for the database (or a command for the cache), over one of the pod's connections.
    pub(super) async fn query(&self, serving: &Serving, (system, statement): (&str, &str), micros: u64) {
        let _connection = self.pools[serving.span.pod].take().await;
        let verb = statement.split(' ').next().unwrap_or_default();
        let name = if system == "redis" { verb.to_owned() } else { format!("{verb} shop") };
        let text = |text: &str| Value::Text(text.to_owned());
        let attributes = vec![
            ("db.system", text(system)),
            ("db.name", text("shop")),
            ("db.statement", text(statement)),
            ("server.address", text(&format!("{system}.{}", super::pods::NAMESPACE))),
        ];
        self.ask(serving, (Kind::Client, &name), attributes, async |_| {
            self.pass(micros).await;
            Ok(0)
        })
        .await;
    }

    /// Something is thrown while a request is served.
    pub(super) fn throw(
        &self,
        serving: &mut Serving,
        (class, message): (&'static str, &str),
        stack: &'static [&'static str],
    ) {
        serving.span.error = Some(message.to_owned());
        let message = message.to_owned();
        serving.span.thrown = Some(Thrown { time: self.engine.now(), class, message, stack });
    }

    /// A line is written, with the request's ids unless they are left out.
    pub(super) fn say(
        &self,
        serving: &Serving,
        level: &'static str,
        place: (&'static str, u32),
        message: &str,
    ) {
        let says_so = !serving.silent && !self.chance(self.plan.hidden);
        self.write(serving, level, place, message, says_so);
    }

    /// A line is written by a library that knows nothing of ids.
    pub(super) fn mutter(
        &self,
        serving: &Serving,
        level: &'static str,
        place: (&'static str, u32),
        message: &str,
    ) {
        self.write(serving, level, place, message, false);
    }

    fn write(
        &self,
        serving: &Serving,
        level: &'static str,
        place: (&'static str, u32),
        message: &str,
        says_so: bool,
    ) {
        let pod = self.pod(serving);
        let (trace, span) = (serving.caller.trace, serving.span.id);
        let span = if serving.silent { serving.caller.span.unwrap_or_default() } else { span };
        let say = Say {
            time: (self.opened + self.engine.now()).saturating_add_signed(self.ahead(pod)),
            level,
            place,
            thread: &self.thread(serving),
            ids: says_so.then_some((trace, span)),
            request: &serving.caller.request,
            service: pod.service.name(),
            message,
        };
        let text = say.render(pod.service.format());
        self.note(serving.span.pod, text, level == "ERROR", (trace, span), says_so);
    }

    /// The edge's line about a request that it has answered.
    pub(super) fn log_access(&self, span: &Span, seen: (&str, &str, u16), request: &str) {
        let time = (self.opened + span.start).saturating_add_signed(self.ahead(&self.pods[span.pod]));
        let text = access(time, seen, self.engine.now() - span.start, request, "frontend");
        self.note(span.pod, text, false, (span.trace, span.id), false);
    }

    fn note(&self, pod: usize, text: String, stderr: bool, belongs: (u128, u64), says_so: bool) {
        let line = Line { pod, time: self.engine.now(), text, stderr, belongs, says_so };
        self.noted.borrow_mut().1.push(line);
    }
}

/// Requests that a pod serves at a time.
fn threads(pod: &Pod, fault: Fault) -> usize {
    if fault == Fault::Crowded && pod.version == CANARY { 1 } else { pod.service.threads() }
}

/// The pod that [`Fault::Throttled`] is about: the first of the checkout.
pub(super) fn throttled(pods: &[Pod]) -> Option<usize> {
    pods.iter().position(|pod| pod.service == Service::Checkout)
}
