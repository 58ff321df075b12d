//! Promise: whatever happens to log files, to the agent and to the server behind it, each line comes once and in order, or is
//! counted as lost where its file was destroyed before it could be read.

use anyhow::{Context, Result, ensure};
use tests::node::{CollectModel, Target};
use tokio::task::JoinSet;

/// Deeds of a sequence.
const DEEDS: usize = 40;

async fn nothing_is_found(target: Target, seeds: std::ops::Range<u64>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut runs = JoinSet::new();
    for seed in seeds {
        let folder = folder.path().join(seed.to_string());
        runs.spawn(async move {
            let model = CollectModel::random(target, seed, DEEDS);
            let findings =
                model.run(&folder).await.with_context(|| format!("seed {seed}: {:?}", model.deeds));
            (model, findings)
        });
    }
    while let Some(run) = runs.join_next().await {
        let (model, findings) = run?;
        let findings = findings?;
        ensure!(findings.are_none(), "seed {}: {findings:?} after {:?}", model.seed, model.deeds);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_comes_once_to_a_loki_that_fails() -> Result<()> {
    nothing_is_found(Target::Loki, 1..9).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_comes_once_to_a_gateway_though_the_agent_is_killed() -> Result<()> {
    nothing_is_found(Target::Gateway, 1..7).await
}
