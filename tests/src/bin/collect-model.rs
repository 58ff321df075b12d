//! The model of collecting at length: `cargo run --release -p tests --bin collect-model [-- ROUNDS [SEED]]` (100 random sequences
//! of deeds to each target unless given). A sequence in which something is lost, doubled, out of order or made up is
//! shortened and printed, and the program ends with an error.
#![allow(clippy::print_stdout, reason = "a program whose product is a table")]

use anyhow::{Context, Result, bail};
use tests::node::{CollectModel, Target};

/// Deeds of a sequence.
const DEEDS: usize = 60;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds: u64 = arguments.next().map_or(Ok(100), |n| n.parse()).context("ROUNDS is a number")?;
    let first: u64 = arguments.next().map_or(Ok(1), |n| n.parse()).context("SEED is a number")?;
    let mut given_up = 0;
    for seed in first..first + rounds {
        for target in [Target::Loki, Target::Gateway] {
            let model = CollectModel::random(target, seed, DEEDS);
            let dir = tempfile::tempdir()?;
            match model.run(&dir.path().join("whole")).await {
                Ok(findings) if findings.are_none() => given_up += findings.given_up,
                bad => {
                    let bad = bad.map_err(|error| format!("{error:#}"));
                    println!("seed {seed} to {target:?}: {bad:?}\n{:?}", model.deeds);
                    let least = model.shrunk(dir.path()).await;
                    println!("the least that shows it: {:?}", least.deeds);
                    bail!("not every line came once and in order");
                }
            }
        }
    }
    println!("sequences       {}", 2 * rounds);
    println!("lost, and told  {given_up}");
    Ok(())
}
