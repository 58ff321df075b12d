//! Lines whose ids are left out: how many of those that are offered for a trace are its own.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use tests::shop::{Fault, Line, Plan};

use super::scene::{Scene, each_seed, list};

/// A confidence from which on a reader may rely on a join.
const SURE: f64 = 0.8;
/// How many such joins are right, at least.
const PRECISION: f64 = 0.95;
/// Of the lines that were left without their ids, how many are offered with any confidence, at least.
const OFFERED: f64 = 0.5;

/// What was offered with some confidence.
#[derive(Debug, Default, Clone, Copy)]
struct Offered {
    lines: usize,
    /// Of this trace.
    right: usize,
    /// Of this trace, and under the very span that wrote it.
    exact: usize,
}

impl Offered {
    fn precision(self) -> f64 {
        self.right as f64 / (self.lines.max(1)) as f64
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_without_ids_join_the_request_that_wrote_them() -> Result<()> {
    each_seed("half of the lines without ids", async |seed| {
        let plan = Plan { visits: 150, hidden: 500, ..Plan::new(seed, Fault::None) };
        let scene = Scene::of(plan).await?;
        let by_text: HashMap<(&str, String), &Line> = scene
            .traffic
            .lines
            .iter()
            .map(|line| {
                let time = scene.traffic.shown(line.pod, scene.opened, line.time);
                ((line.text.as_str(), time.to_string()), line)
            })
            .collect();
        let traces: std::collections::BTreeSet<u128> =
            scene.traffic.spans.iter().map(|span| span.trace).collect();
        // From 0.0 to 1.0 in tenths.
        let mut offered = [Offered::default(); 11];
        for trace in traces {
            let answer = scene.look_up(trace).await?;
            for log in list(&answer, "logs")? {
                let confidence = log["join"]["confidence"].as_f64().context("no confidence")?;
                let key = (log["line"].as_str().context("no line")?, log["time_unix_nano"].as_str());
                let line = key.1.and_then(|time| by_text.get(&(key.0, time.to_owned())));
                let line = line.with_context(|| format!("never written: {log}"))?;
                if line.says_so {
                    ensure!(line.belongs.0 == trace && confidence == 1.0, "{log}");
                    continue;
                }
                let right = line.belongs.0 == trace;
                let exact = right && log["span_id"] == format!("{:016x}", line.belongs.1);
                let tenth = &mut offered[(confidence * 10.0) as usize];
                tenth.lines += 1;
                tenth.right += usize::from(right);
                tenth.exact += usize::from(exact);
            }
        }
        let hidden = scene.traffic.lines.iter().filter(|line| !line.says_so).count();
        let from = |least: f64| {
            offered[(least * 10.0) as usize..].iter().fold(Offered::default(), |all, tenth| Offered {
                lines: all.lines + tenth.lines,
                right: all.right + tenth.right,
                exact: all.exact + tenth.exact,
            })
        };
        for least in [0.9, 0.8, 0.5, 0.3, 0.0] {
            let Offered { lines, right, exact } = from(least);
            let (precision, recall) = (from(least).precision(), right as f64 / hidden as f64);
            eprintln!(
                "confidence >= {least}: {lines} offered, precision {precision:.3}, recall {recall:.3}, {exact} under their very span"
            );
        }
        let sure = from(SURE);
        ensure!(sure.lines > 0 && sure.precision() >= PRECISION, "{sure:?} with a confidence of {SURE}");
        let all = from(0.0);
        ensure!(all.right as f64 >= OFFERED * hidden as f64, "{all:?} of {hidden}");
        scene.close().await
    })
    .await
}
