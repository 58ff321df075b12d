//! A shop with one thing wrong with it, for tests that ask Trefoil what it is: nine services in several pods each on three hosts, a
//! database, a cache and a peer that report nothing, and a queue, simulated event by event. The same plan gives the same traffic.
//!
//! [`open`] gives all that was sent together with what is true of it; [`Delivery`] brings it to a gateway, each service in its own
//! protocol and log format. What the tests then ask is not in here.

mod deliver;
mod engine;
mod lines;
mod metrics;
mod plan;
mod pods;
mod traffic;
mod visits;
mod world;

#[cfg(test)]
mod tests;

use std::rc::Rc;

pub use deliver::Delivery;
pub use plan::{Fault, NOISY_HOST, Plan, SLOW_TENANT, WRONG_CLOCK_AHEAD, WRONG_CLOCK_HOST};
pub use pods::{CANARY, Carriage, DEPLOYED, Format, HOSTS, NAMESPACE, Pod, Protocol, STABLE, Service};
pub use traffic::{Kind, Line, Series, Span, Thrown, Traffic, Value};
pub use visits::SLOW_PRICES;

use plan::TENANTS;
use world::{Caller, MS, World};

/// Of a thousand arrivals, those of several visitors at once.
const CLUMPS: u64 = 200;
/// How many come then, besides the first.
const CLUMP: u64 = 4;
/// Between them.
const APART: u64 = 2 * MS;
/// Users.
const USERS: u64 = 500;

/// Opens the shop for the visits of a plan and closes it when the last one has gone. It opens at so many nanoseconds since the
/// epoch by the wall's clock, which only some lines show.
pub fn open(plan: Plan, opened: u64) -> Traffic {
    let world = Rc::new(World::new(plan, opened));
    let engine = world.engine.clone();
    let consumers = if plan.fault == Fault::QueueLag { 1 } else { 4 };
    for _ in 0..consumers {
        let world = Rc::clone(&world);
        engine.spawn(async move { visits::consume(&world).await });
    }
    let door = Rc::clone(&world);
    engine.spawn(async move { arrivals(&door).await });
    engine.run();
    let mut traffic = world.close();
    traffic.series = metrics::series(&traffic, plan.fault);
    traffic
}

/// The name of the pod that [`Fault::Throttled`] is about.
pub fn throttled_pod(traffic: &Traffic) -> &str {
    world::throttled(&traffic.pods).map(|pod| traffic.pods[pod].name.as_str()).unwrap_or_default()
}

async fn arrivals(world: &Rc<World>) {
    let mut come = 0;
    while come < world.plan.visits {
        let clump = if world.chance(CLUMPS) { 1 + world.below(CLUMP) } else { 0 };
        for _ in 0..=clump {
            come += 1;
            let (world, caller) = (Rc::clone(world), caller(world));
            let engine = world.engine.clone();
            engine.spawn(async move { visits::visit(&world, caller).await });
            engine.wait(APART).await;
        }
        if come >= world.plan.visits / 2 && world.turned.get().is_none() {
            world.turned.set(Some(world.engine.now()));
        }
        let mean = world.plan.spacing_ms * MS;
        let wait = world.dice.borrow_mut().waiting(mean as f64) as u64 / 1_000 * 1_000;
        world.engine.wait(wait).await;
    }
}

fn caller(world: &World) -> Caller {
    let mut dice = world.dice.borrow_mut();
    let (a, b) = (dice.bits() >> 32, dice.bits() >> 16);
    Caller {
        trace: dice.trace_id(),
        span: None,
        request: format!("{a:08x}-0000-4000-8000-{b:012x}").into(),
        tenant: dice.pick::<&'static str>(&TENANTS),
        user: dice.below(USERS),
    }
}
