//! The torture run at length: `cargo run --release -p tests --bin torture [-- ROUNDS [SEED]]` (2,000 rounds unless given, some two
//! minutes of writing). 100 containers are rotated while the agent is behind, it is killed, and its network fails; at the
//! end every line must be in the gateway once. Ends with an error when one is not.
#![allow(clippy::print_stdout, reason = "a program whose product is a table")]

use anyhow::{Context, Result, ensure};
use tests::node::Torture;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds: u64 = arguments.next().map_or(Ok(2000), |n| n.parse()).context("ROUNDS is a number")?;
    let seed: u64 = arguments.next().map_or(Ok(1), |n| n.parse()).context("SEED is a number")?;
    let dir = tempfile::tempdir()?;
    let torture =
        Torture { containers: 100, rounds, lines_a_round: 60, rotate_at: 2 << 20, kills: rounds / 50, seed };
    let outcome = torture.run(dir.path()).await?;
    println!("written         {}", outcome.written);
    println!("rotations       {}", outcome.rotations);
    println!("kills           {}", outcome.kills);
    println!("network faults  {}", outcome.faults);
    println!("lost            {}", outcome.lost);
    println!("doubled         {}", outcome.doubled);
    println!("out of order    {}", outcome.out_of_order);
    ensure!(
        outcome.lost + outcome.doubled + outcome.out_of_order == 0,
        "not every line came once and in order"
    );
    Ok(())
}
