//! Spoilt bodies at length: `cargo run --release -p tests --bin hostile-bodies [-- COUNT [FIRST]]` (a million unless given, some
//! minutes). Each body is made of its number alone, so that `-- 1 NUMBER` repeats a case. Ends with an error when a receiver
//! panicked, gave an answer that its protocol does not have, took too long over one body, or held too much memory.
#![allow(clippy::print_stdout, reason = "a program whose product is a table")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::hostile::Trial;

/// Of one body, on a machine that does other things as well. What is quadratic takes minutes.
const SLOWEST: Duration = Duration::from_secs(2);
/// Resident, at most. Bodies have up to 4 MiB, and 64 MiB may be in flight.
const MEMORY: u64 = 200 << 20;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().map_or(Ok(1_000_000), |n| n.parse()).context("COUNT is a number")?;
    let first: u64 = arguments.next().map_or(Ok(1), |n| n.parse()).context("FIRST is a number")?;
    let started = Instant::now();
    let findings = Trial::default().run(first, count).await;
    println!("bodies          {count} in {:.1} s", started.elapsed().as_secs_f64());
    for (code, count) in &findings.answers {
        println!("  {code:<13} {count}");
    }
    let (slowest, case) = findings.slowest;
    println!("slowest         {:.1} ms, case {case}", slowest.as_secs_f64() * 1e3);
    let peak = peak_memory()?;
    println!("resident        {} MB at most", peak / 1_000_000);
    for wrong in findings.wrong.iter().take(20) {
        println!("wrong           {wrong}");
    }
    ensure!(findings.wrong.is_empty(), "{} cases went wrong", findings.wrong.len());
    ensure!(slowest < SLOWEST, "a body took too long");
    ensure!(peak < MEMORY, "too much memory");
    Ok(())
}

/// Of this program, as the kernel has it.
fn peak_memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes << 10)
}
