//! How right the joins of log lines without an id are: precision and recall at each confidence, over containers in which from one
//! to fifty requests run at once, and over such whose lines never have an id while requests are sampled out.
//!
//! `cargo run --release -p tests --bin bench-join [-- REQUESTS ASKED SEED]` (600 requests a container, 120 traces asked for, seed 1,
//! unless given).
#![allow(clippy::print_stdout, reason = "a program whose product is a table")]

use anyhow::{Context, Result};
use tests::corpus::{containers, silent_containers};
use tests::join::{Joined, STEPS, measure};

#[tokio::main]
async fn main() -> Result<()> {
    // The client's TLS provider; a second installation is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |n| n.parse()).context("a number");
    let (requests, asked, seed) = (number(600)?, number(120)?, number(1)?);
    let containers = [containers(), silent_containers()].concat();
    let joined = measure(seed as u64, &containers, requests, asked).await?;
    println!(
        "{:48}{}",
        "precision (recall), with a confidence of",
        STEPS.map(|s| format!("{s:>14.2}")).concat()
    );
    println!(" #  at once  threads  sampled  with id  own/s    lines");
    let mut all = Joined::default();
    for (number, (container, joined)) in containers.iter().zip(&joined).enumerate() {
        let shares = STEPS.map(|step| match joined.precision_and_recall(step) {
            (_, 0.0) if joined.between(step, 2.0).0 == 0 => format!("{:>14}", "-"),
            (precision, recall) => format!("{precision:>7.3}({recall:.3})"),
        });
        println!(
            "{number:>2}  {:>7}  {:<7}  {:>7}  {:>7}  {:>5}  {:>7}{}",
            container.at_once,
            format!("{:?}", container.threads),
            container.sampled,
            container.with_id,
            container.own_lines,
            joined.written,
            shares.concat(),
        );
        all.add(joined);
    }
    println!("confidence  offered  precision  recall   of this step: offered  right");
    let mut upper = 2.0;
    for step in STEPS {
        let ((offered, right), (precision, recall)) =
            (all.between(step, upper), all.precision_and_recall(step));
        let (from, share) = (all.between(step, 2.0).0, right as f64 / offered.max(1) as f64);
        println!("{step:>10.2}  {from:>7}  {precision:>9.3}  {recall:>6.3}  {offered:>22}  {share:>5.3}");
        upper = step;
    }
    Ok(())
}
