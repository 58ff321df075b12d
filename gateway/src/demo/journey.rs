//! What requests do in the shop: who calls whom, how long it takes, and what goes wrong how often.
//!
//! Every function of a service gets its caller's span and when the request arrives, and gives when it was answered and
//! with which status.

use parsers::record::{Severity, SpanId};

use super::plan::{Plan, Planner};
use super::rng::Rng;
use super::services::{Origins, Pod};

/// Of a hundred payments, those that go to the candidate version.
const CANARY_PERCENT: u64 = 30;
/// Of a hundred payments with the released version, those that fail.
const STABLE_FAILS_PERCENT: u64 = 2;
/// As above, for the candidate: the difference is there to be found.
const CANDIDATE_FAILS_PERCENT: u64 = 25;
/// Of a hundred parcels, those for which the label printer is slow.
const SLOW_SHIPPING_PERCENT: u64 = 12;
/// Of a hundred parcels, those that fail.
const SHIPPING_FAILS_PERCENT: u64 = 5;

type Answered = Option<(u64, u16)>;

/// What a visitor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// Buys what is in the basket: all services but `pages`.
    Buy,
    /// Looks at a product.
    Browse,
    /// Reads a text.
    Read,
}

impl Visit {
    /// The first visits of a shop show all of it; later ones are as chance has it.
    pub(super) fn nth(n: u64, rng: &mut Rng) -> Self {
        match n {
            0 => Self::Buy,
            1 => Self::Browse,
            2 => Self::Read,
            _ => rng.pick(Self::Buy, &[Self::Buy, Self::Browse, Self::Browse, Self::Read]),
        }
    }

    /// Plans one, beginning at `at` (nanoseconds since the epoch).
    pub(super) fn plan(self, origins: &Origins, rng: &mut Rng, at: u64) -> Option<Plan> {
        let mut planner = Planner::new(origins, rng)?;
        frontend(&mut planner, self, at)?;
        Some(planner.finish())
    }
}

fn frontend(p: &mut Planner<'_>, visit: Visit, at: u64) -> Answered {
    const ME: Pod = Pod::Frontend;
    let product = p.rng.within(1..400);
    let (route, path) = match visit {
        Visit::Buy => (("POST", "/checkout"), "/checkout".to_owned()),
        Visit::Browse => (("GET", "/product/{id}"), format!("/product/{product}")),
        Visit::Read => (("GET", "/help/{page}"), "/help/returns".to_owned()),
    };
    let message = format!("{} {path}", route.0);
    let serving = p.serve(ME, None, route, path, at)?;
    let me = serving.id();
    p.log(ME, me, Severity::Info, &message, at);
    let begin = at + p.ms(1..4);
    let (done, status) = match visit {
        Visit::Buy => p.call(ME, me, Pod::Checkout, "POST", begin, checkout)?,
        Visit::Browse => {
            // The page's parts are fetched side by side.
            let shown =
                p.call(ME, me, Pod::Catalog, "GET", begin, |p, me, at| catalog(p, me, at, product))?;
            let basket = p.call(ME, me, Pod::Cart, "GET", begin + 100_000, cart)?;
            let texts = p.call(ME, me, Pod::Pages, "GET", begin + 200_000, pages)?;
            let parts = [shown, basket, texts];
            let done = parts.iter().map(|part| part.0).max()?;
            (done, parts.iter().map(|part| part.1).max()?)
        }
        Visit::Read => {
            let (done, status) = p.call(ME, me, Pod::Pages, "GET", begin, pages)?;
            let (done, _) =
                p.call(ME, me, Pod::Catalog, "GET", done, |p, me, at| catalog(p, me, at, product))?;
            let (done, _) = p.call(ME, me, Pod::Cart, "GET", done, cart)?;
            (done, status)
        }
    };
    let took = p.ms(3..9);
    let done = p.work(ME, me, "renderPage", done, took)?;
    let status = if status >= 500 { 502 } else { 200 };
    if status == 502 {
        p.log(ME, me, Severity::Error, "checkout failed, the visitor was asked to try again", done);
    } else {
        p.log(ME, me, Severity::Info, &format!("{message} 200"), done);
    }
    Some(p.answer(serving, status, done))
}

fn checkout(p: &mut Planner<'_>, parent: SpanId, at: u64) -> Answered {
    const ME: Pod = Pod::Checkout;
    let order = p.rng.within(100_000..1_000_000);
    let serving = p.serve(ME, Some(parent), ("POST", "/orders"), "/orders".to_owned(), at)?;
    let me = serving.id();
    p.log(ME, me, Severity::Info, &format!("order {order} begun"), at + 300_000);
    let (have_cart, _) = p.call(ME, me, Pod::Cart, "GET", at + 500_000, cart)?;
    let product = p.rng.within(1..400);
    let (priced, _) =
        p.call(ME, me, Pod::Catalog, "GET", at + 600_000, |p, me, at| catalog(p, me, at, product))?;
    let took = p.ms(1..4);
    let ready = p.work(ME, me, "orders.total", have_cart.max(priced), took)?;
    let candidate = p.rng.percent(CANARY_PERCENT);
    let till = if candidate { Pod::PaymentCandidate } else { Pod::PaymentStable };
    let (paid, status) = p.call(ME, me, till, "POST", ready, |p, me, at| payment(p, till, me, at, order))?;
    if status >= 500 {
        let message = format!("payment of order {order} failed with {status}, order cancelled");
        p.log(ME, me, Severity::Error, &message, paid + 200_000);
        return Some(p.answer(serving, 502, paid + 600_000));
    }
    let (sent, status) =
        p.call(ME, me, Pod::Shipping, "POST", paid + 200_000, |p, me, at| shipping(p, me, at, order))?;
    let took = p.ms(2..8);
    let stored =
        p.query(ME, me, ("postgresql", "INSERT INTO orders (id, state) VALUES ($1, $2)"), sent, took)?;
    if status >= 500 {
        p.log(ME, me, Severity::Warn, &format!("order {order} is paid but has no parcel yet"), stored);
        return Some(p.answer(serving, 202, stored + 300_000));
    }
    p.log(ME, me, Severity::Info, &format!("order {order} complete"), stored);
    Some(p.answer(serving, 201, stored + 300_000))
}

fn cart(p: &mut Planner<'_>, parent: SpanId, at: u64) -> Answered {
    const ME: Pod = Pod::Cart;
    let user = p.rng.within(1..5000);
    let serving = p.serve(ME, Some(parent), ("GET", "/carts/{user}"), format!("/carts/{user}"), at)?;
    let me = serving.id();
    let took = p.ms(1..9);
    let done = p.query(ME, me, ("redis", "HGETALL cart"), at + 400_000, took)?;
    let items = p.rng.within(1..7);
    p.log(ME, me, Severity::Info, &format!("cart of user {user} has {items} items"), done);
    if took > 8_000_000 {
        p.log(ME, me, Severity::Warn, "redis took over 8 ms", done + 100_000);
    }
    Some(p.answer(serving, 200, done + 500_000))
}

fn catalog(p: &mut Planner<'_>, parent: SpanId, at: u64, product: u64) -> Answered {
    const ME: Pod = Pod::Catalog;
    let serving = p.serve(ME, Some(parent), ("GET", "/products/{id}"), format!("/products/{product}"), at)?;
    let took = p.ms(4..24);
    let query = ("postgresql", "SELECT name, price FROM products WHERE id = $1");
    let done = p.query(ME, serving.id(), query, at + 300_000, took)?;
    Some(p.answer(serving, 200, done + 500_000))
}

fn payment(p: &mut Planner<'_>, me: Pod, parent: SpanId, at: u64, order: u64) -> Answered {
    let mut serving = p.serve(me, Some(parent), ("POST", "/charges"), "/charges".to_owned(), at)?;
    let span = serving.id();
    let fails = if me == Pod::PaymentCandidate { CANDIDATE_FAILS_PERCENT } else { STABLE_FAILS_PERCENT };
    p.log(me, span, Severity::Info, &format!("charging order={order}"), at + 200_000);
    let took = p.ms(1..5);
    let checked = p.work(me, span, "Risk#score", at + 500_000, took)?;
    let took = p.ms(25..140);
    let done = p.work(me, span, "Acquirer#authorise", checked, took)?;
    if p.rng.percent(fails) {
        let stack: [String; 0] = [];
        p.throw(&mut serving, "Acquirer::Timeout", "the acquirer did not answer in time", &stack, done);
        return Some(p.answer(serving, 500, done + 500_000));
    }
    p.log(me, span, Severity::Info, &format!("authorised order={order}"), done);
    Some(p.answer(serving, 200, done + 500_000))
}

fn shipping(p: &mut Planner<'_>, parent: SpanId, at: u64, order: u64) -> Answered {
    const ME: Pod = Pod::Shipping;
    let mut serving = p.serve(ME, Some(parent), ("POST", "/parcels"), "/parcels".to_owned(), at)?;
    let span = serving.id();
    p.log(ME, span, Severity::Info, &format!("parcel for order {order}"), at + 200_000);
    let took = p.ms(6..30);
    let routed = p.work(ME, span, "RouteService.choose", at + 400_000, took)?;
    p.mutter(ME, Severity::Debug, "label queue holds 3 jobs", routed);
    let slow = p.rng.percent(SLOW_SHIPPING_PERCENT);
    let took = if slow { p.ms(280..420) } else { p.ms(10..45) };
    let printed = p.work(ME, span, "LabelService.print", routed, took)?;
    if slow {
        p.mutter(ME, Severity::Warn, "label printer warmed up again", printed);
    }
    if p.rng.percent(SHIPPING_FAILS_PERCENT) {
        let stack = [
            "\tat com.shop.shipping.LabelService.print(LabelService.java:88)".to_owned(),
            "\tat com.shop.shipping.ParcelController.create(ParcelController.java:41)".to_owned(),
            "Caused by: java.net.SocketTimeoutException: Read timed out".to_owned(),
            "\tat java.base/java.net.Socket$SocketInputStream.read(Socket.java:1099)".to_owned(),
            "\t... 23 more".to_owned(),
        ];
        let class = "java.lang.IllegalStateException";
        p.throw(&mut serving, class, "no label for the parcel", &stack, printed);
        return Some(p.answer(serving, 503, printed + 500_000));
    }
    p.mutter(ME, Severity::Info, "label printed", printed + 100_000);
    Some(p.answer(serving, 201, printed + 500_000))
}

fn pages(p: &mut Planner<'_>, parent: SpanId, at: u64) -> Answered {
    const ME: Pod = Pod::Pages;
    let page = p.rng.pick("returns", &["delivery", "sizes"]);
    let serving = p.serve(ME, Some(parent), ("GET", "pages/<slug>/"), format!("/pages/{page}/"), at)?;
    let me = serving.id();
    p.log(ME, me, Severity::Info, &format!("page {page}"), at + 300_000);
    let took = p.ms(2..8);
    let read = p.query(ME, me, ("sqlite", "SELECT body FROM pages WHERE slug = ?"), at + 500_000, took)?;
    let took = p.ms(30..60);
    let rendered = p.work(ME, me, "Template.render", read, took)?;
    Some(p.answer(serving, 200, rendered + 500_000))
}
