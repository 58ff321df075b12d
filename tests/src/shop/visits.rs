//! What the shop's services do with a visitor, and where each planted cause bites.

use futures::future::{join, join3};

use super::plan::{Fault, SLOW_TENANT};
use super::pods::{CANARY, DEPLOYED, Service};
use super::traffic::{Kind, Value};
use super::world::{Caller, MS, Serving, World};

/// Of a hundred visitors, those who buy.
const BUYERS: u64 = 50;
/// Products.
const PRODUCTS: u64 = 60;
/// Of a thousand looks into the cache, those that miss.
const MISSES: u64 = 80;
/// Of a thousand calls to a dead acquirer, those that are refused.
const REFUSED: u64 = 660;
/// Of a thousand calls to an inventory that refuses, those that it does.
const BUSY: u64 = 700;
/// How often the checkout then calls at most.
const CALLS: usize = 5;
/// Of a thousand ratings, those without a text.
const WITHOUT_TEXT: u64 = 400;
/// Of a thousand parcels, those for which the label printer has to warm up.
const COLD: u64 = 250;

/// How long a page may take in [`Fault::Deadline`].
const PATIENCE: u64 = 180 * MS;

const PRICES: &str = "SELECT id, price FROM products WHERE id = $1";
/// The statement of the catalog's canary in [`Fault::SlowQuery`] and what is like it.
pub const SLOW_PRICES: &str =
    "SELECT p.id, p.price FROM products p JOIN rebates r ON r.sku LIKE p.sku || '%' WHERE p.id = $1";
const NO_TEXT: [&str; 3] = [
    "File \"/app/reviews/views.py\", line 57, in ratings",
    "File \"/app/reviews/rating.py\", line 23, in normalised",
    "File \"/app/reviews/rating.py\", line 31, in words",
];

/// Somebody comes, and goes when the page is there.
pub(super) async fn visit(world: &World, caller: Caller) {
    let buys = world.below(100) < BUYERS;
    let product = world.below(PRODUCTS);
    let (name, path) = if buys {
        ("POST /checkout", "/checkout".to_owned())
    } else {
        ("GET /products/{id}", format!("/products/{product}"))
    };
    let mut edge = world.serve(Service::Edge, caller, Kind::Server, name).await;
    let request = edge.caller.request.to_string();
    edge.set("guid:x-request-id", &request);
    edge.set("url.path", &path);
    let method = name.split(' ').next().unwrap_or_default();
    world.work(&edge, 300).await;
    let status = world
        .call(&edge, ("frontend.shop", method), |caller| frontend(world, caller, (buys, product, name)))
        .await;
    let (span, request) = (edge.span.clone(), edge.caller.request.clone());
    world.answer(edge, status).await;
    // A proxy writes when all is sent and its span has ended.
    world.pass(200).await;
    world.log_access(&span, (method, &path, status), &request);
}

async fn frontend(world: &World, caller: Caller, (buys, product, name): (bool, u64, &'static str)) -> u16 {
    let mut me = world.serve(Service::Frontend, caller, Kind::Server, name).await;
    let (tenant, user, request) = (me.caller.tenant, me.caller.user, me.caller.request.to_string());
    me.set("tenant.id", tenant);
    me.set("enduser.id", &format!("u-{user}"));
    me.set("http.request.header.x-request-id", &request);
    world.say(&me, "INFO", ("server.js", 31), &format!("page begun for u-{user} of {tenant}"));
    world.work(&me, 2_000).await;
    let status = if buys {
        world.call(&me, ("checkout.shop", "POST"), |caller| checkout(world, caller)).await
    } else {
        let parts = join(
            world.call(&me, ("catalog.shop", "GET"), |caller| catalog(world, caller, product)),
            world.call(&me, ("reviews.shop", "GET"), |caller| reviews(world, caller, product)),
        );
        let (shown, rated) = parts.await;
        shown.max(rated)
    };
    let took = world.engine.now() - me.span.start;
    let status = if world.plan.fault == Fault::Deadline && took > PATIENCE { 504 } else { status };
    world.work(&me, 3_000).await;
    if status >= 500 {
        world.say(&me, "ERROR", ("server.js", 58), &format!("page failed with {status}"));
    } else {
        world.say(&me, "INFO", ("server.js", 61), "page sent");
    }
    world.answer(me, status).await
}

async fn checkout(world: &World, caller: Caller) -> u16 {
    let me = world.serve(Service::Checkout, caller, Kind::Server, "POST /orders").await;
    let order = 100_000 + world.below(900_000);
    let product = world.below(PRODUCTS);
    world.say(&me, "INFO", ("orders.go", 118), &format!("order {order} begun"));
    world.work(&me, 1_500).await;
    let (_, reserved) = join(
        world.call(&me, ("catalog.shop", "GET"), |caller| catalog(world, caller, product)),
        reserve(world, &me, product),
    )
    .await;
    if reserved >= 500 {
        world.say(&me, "ERROR", ("orders.go", 131), &format!("order {order} given up: nothing reserved"));
        return world.answer(me, 503).await;
    }
    let paid = world.call(&me, ("payment.shop", "POST"), |caller| payment(world, caller, order)).await;
    if paid >= 500 {
        world.say(&me, "ERROR", ("orders.go", 139), &format!("order {order} given up: not paid"));
        return world.answer(me, 502).await;
    }
    world.call(&me, ("shipping.shop", "POST"), |caller| shipping(world, caller, order)).await;
    world.query(&me, ("postgresql", "INSERT INTO orders (id, state) VALUES ($1, $2)"), 2_500).await;
    let text = |text: &str| Value::Text(text.to_owned());
    let attributes = vec![
        ("messaging.system", text("kafka")),
        ("messaging.destination.name", text("orders")),
        ("messaging.operation", text("publish")),
    ];
    world
        .ask(&me, (Kind::Producer, "orders publish"), attributes, async |caller| {
            world.pass(700).await;
            world.orders.put((caller, order));
            Ok(0)
        })
        .await;
    world.say(&me, "INFO", ("orders.go", 162), &format!("order {order} complete"));
    world.answer(me, 201).await
}

async fn reserve(world: &World, me: &Serving, product: u64) -> u16 {
    let mut status = 0;
    for call in 1..=CALLS {
        status = world.call(me, ("inventory.shop", "POST"), |caller| inventory(world, caller, product)).await;
        if status < 500 {
            break;
        }
        world.say(me, "WARN", ("stock.go", 44), &format!("reserving failed, call {call} of {CALLS}"));
        world.pass(4_000).await;
    }
    status
}

async fn inventory(world: &World, caller: Caller, product: u64) -> u16 {
    let me = world.serve(Service::Inventory, caller, Kind::Server, "POST /reservations").await;
    if world.suffers(Fault::RetryStorm) && world.chance(BUSY) {
        world.work(&me, 6_000).await;
        world.say(&me, "ERROR", ("inventory.go", 71), "too many reservations under way");
        return world.answer(me, 503).await;
    }
    let lock = if world.plan.fault == Fault::Lock {
        let before = world.engine.now();
        let lock = world.locks[me.span.pod].take().await;
        let waited = (world.engine.now() - before) / MS;
        if waited > 5 {
            let message = format!("waited {waited}ms for the stock lock, product {product}");
            world.say(&me, "WARN", ("inventory.go", 87), &message);
        }
        Some(lock)
    } else {
        None
    };
    let took = if lock.is_some() { 60_000 } else { 3_000 };
    world.work(&me, took).await;
    world.query(&me, ("postgresql", "UPDATE stock SET free = free - 1 WHERE id = $1"), 3_000).await;
    drop(lock);
    world.say(&me, "INFO", ("inventory.go", 104), &format!("reserved product {product}"));
    world.answer(me, 201).await
}

async fn payment(world: &World, caller: Caller, order: u64) -> u16 {
    let me = world.serve(Service::Payment, caller, Kind::Server, "POST /charges").await;
    world.work(&me, 1_500).await;
    world.say(&me, "INFO", ("charges.rb", 40), &format!("charging order {order}"));
    let text = |text: &str| Value::Text(text.to_owned());
    let attributes = vec![
        ("http.request.method", text("POST")),
        ("server.address", text("acquirer.example.com")),
        ("peer.service", text("acquirer")),
    ];
    let status = world
        .ask(&me, (Kind::Client, "POST"), attributes, async |_| {
            if world.suffers(Fault::DeadPeer) && world.chance(REFUSED) {
                world.pass(1_000).await;
                return Err("connection refused by acquirer.example.com".to_owned());
            }
            world.pass(30_000).await;
            Ok(200)
        })
        .await;
    if status >= 500 {
        world.say(&me, "ERROR", ("charges.rb", 52), "connection to acquirer.example.com refused");
        return world.answer(me, 502).await;
    }
    world.work(&me, 1_000).await;
    world.say(&me, "INFO", ("charges.rb", 61), &format!("order {order} is paid"));
    world.answer(me, 201).await
}

async fn catalog(world: &World, caller: Caller, product: u64) -> u16 {
    let me = world.serve(Service::Catalog, caller, Kind::Server, "GET /products/{id}").await;
    world.work(&me, 1_500).await;
    world.query(&me, ("redis", "GET product"), 400).await;
    let missed = world.suffers(Fault::CacheFlush) || world.chance(MISSES);
    if missed {
        world.say(&me, "INFO", ("ProductCache", 77), &format!("product {product} is not cached"));
        world.query(&me, ("postgresql", "SELECT * FROM products WHERE id = $1"), 25_000).await;
        world.query(&me, ("redis", "SET product"), 500).await;
    }
    let canary = world.pod(&me).version == CANARY;
    if canary && world.plan.fault.slows_prices() {
        world.query(&me, ("postgresql", SLOW_PRICES), 150_000).await;
    } else {
        world.query(&me, ("postgresql", PRICES), 2_000).await;
    }
    world.say(&me, "INFO", ("ProductController", 52), &format!("product {product} shown"));
    world.answer(me, 200).await
}

async fn reviews(world: &World, caller: Caller, product: u64) -> u16 {
    let tenant = caller.tenant;
    let mut me = world.serve(Service::Reviews, caller, Kind::Server, "GET /reviews/{product}").await;
    me.set("tenant.id", tenant);
    world.work(&me, 2_500).await;
    world.say(&me, "INFO", ("views.py", 41), &format!("reviews of product {product}"));
    if world.plan.fault == Fault::SlowTenant && tenant == SLOW_TENANT {
        for _ in 0..20 {
            world.query(&me, ("postgresql", "SELECT * FROM review WHERE id = %s"), 9_000).await;
        }
    } else {
        world.query(&me, ("postgresql", "SELECT * FROM review WHERE product_id = %s"), 6_000).await;
    }
    if world.pod(&me).version == DEPLOYED && world.chance(WITHOUT_TEXT) {
        let message = "'NoneType' object has no attribute 'split'";
        let line = format!("rating of product {product} failed: AttributeError: {message}");
        world.say(&me, "ERROR", ("views.py", 57), &line);
        world.throw(&mut me, ("AttributeError", message), &NO_TEXT);
        return world.answer(me, 500).await;
    }
    world.answer(me, 200).await
}

async fn shipping(world: &World, caller: Caller, order: u64) -> u16 {
    let me = world.serve(Service::Shipping, caller, Kind::Server, "POST /parcels").await;
    world.work(&me, 4_000).await;
    // The rate, the label and the route are asked for side by side.
    join3(
        world.query(&me, ("postgresql", "SELECT * FROM rates WHERE zone = $1"), 3_000),
        world.query(&me, ("postgresql", "INSERT INTO labels (parcel) VALUES ($1)"), 5_000),
        world.query(&me, ("postgresql", "SELECT * FROM routes WHERE zone = $1"), 4_000),
    )
    .await;
    if world.plan.fault == Fault::Printer {
        if world.chance(COLD) {
            world.work(&me, 250_000).await;
            world.mutter(&me, "WARN", ("labels.go", 88), "label printer warmed up again");
        }
        world.work(&me, 3_000).await;
        world.mutter(&me, "INFO", ("labels.go", 93), "label printed");
    }
    world.say(&me, "INFO", ("shipper.go", 55), &format!("parcel of order {order} announced"));
    world.answer(me, 201).await
}

/// Takes orders from the queue for as long as any come.
pub(super) async fn consume(world: &World) {
    while let Some((caller, order)) = world.orders.take().await {
        // What the broker needs.
        world.pass(2_000).await;
        let mut me = world.serve(Service::Mailer, caller, Kind::Consumer, "orders process").await;
        me.set("messaging.system", "kafka");
        me.set("messaging.destination.name", "orders");
        me.set("messaging.operation", "process");
        let took = if world.suffers(Fault::QueueLag) { 900_000 } else { 8_000 };
        world.work(&me, took).await;
        world.say(&me, "INFO", ("mailer.py", 19), &format!("mail for order {order} sent"));
        world.answer(me, 0).await;
    }
}
