//! Causes that the look-up of one request tells.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use tests::shop::{Fault, Kind, Plan, Service, Span};

use super::scene::{Scene, each_seed, list, short};

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_three_seconds_off_is_corrected_and_told() -> Result<()> {
    each_seed("clock", async |seed| {
        let scene = Scene::of(Plan { visits: 60, ..Plan::new(seed, Fault::Clock) }).await?;
        let ahead = |pod: usize| scene.traffic.ahead[pod];
        let trace = scene.trace(|spans| {
            spans.iter().any(|span| ahead(span.pod) > 0 && span.kind == Kind::Server)
                && spans.iter().any(|span| ahead(span.pod) == 0 && span.parent.is_none())
        })?;
        let answer = scene.look_up(trace).await?;
        let spans = list(&answer, "spans")?;
        let of_trace = scene.traffic.spans.iter().filter(|span| span.trace == trace);
        let answered = of_trace.filter(|span| span.kind == Kind::Server);
        let known: BTreeSet<_> = answered.map(|span| scene.traffic.pods[span.pod].host).collect();
        let mut moved = 0;
        for span in scene.traffic.spans.iter().filter(|span| span.trace == trace) {
            let id = format!("{:016x}", span.id);
            let found =
                spans.iter().find(|found| found["span_id"] == id.as_str()).context("a span is missing")?;
            let time = |key: &str| found[key].as_str().and_then(|text| text.parse::<u64>().ok());
            let adjusted = time("adjusted_start_unix_nano").context("no adjusted time")?;
            if span.kind == Kind::Consumer && !known.contains(scene.traffic.pods[span.pod].host) {
                // A message may wait as long as it likes: by itself it tells nothing of clocks.
                continue;
            }
            ensure!(time("duration_nano") == Some(span.duration()), "a duration changed: {found}");
            let sent = scene.traffic.shown(span.pod, scene.opened, span.start);
            ensure!(time("start_unix_nano") == Some(sent), "its own time is kept: {found}");
            // Clocks cannot be known better than the network's time both ways.
            let off = adjusted.abs_diff(scene.opened + span.start);
            ensure!(off < 5_000_000, "{off} ns off after the adjustment: {found}");
            if ahead(span.pod) > 0 {
                moved += 1;
                ensure!(found["oddities"].to_string().contains("skew_adjusted"), "{found}");
            }
        }
        ensure!(moved > 0);
        let warnings = answer["warnings"].to_string();
        ensure!(warnings.contains("clock"), "{warnings}");
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_trace_that_was_sampled_out_the_rule_is_named() -> Result<()> {
    const RULES: &str = "sampling:\n  wait: 1s\n  rules:\n    - {name: errors, when: {error: true}}\n\
        \x20   - {name: browsing, when: {attribute: {http.route: '/products/{id}'}, service: frontend}, keep: 0.2}\n";
    each_seed("sampled out", async |seed| {
        let plan = Plan { visits: 60, ..Plan::new(seed, Fault::None) };
        let scene = Scene::configured(plan, RULES).await?;
        let browses = |span: &Span| span.text("http.route") == Some("/products/{id}");
        let browsed: BTreeSet<u128> =
            scene.traffic.of(Service::Frontend).filter(|span| browses(span)).map(|span| span.trace).collect();
        let dropped = tests::harness::until("most browsing to be dropped", super::scene::SOON, async || {
            let mut dropped = Vec::new();
            for trace in &browsed {
                let (status, answer) = scene.answer(&format!("/api/v1/traces/{trace:032x}"), &[]).await?;
                if status == 404 {
                    dropped.push(answer);
                }
            }
            ensure!(dropped.len() * 10 > browsed.len() * 6, "{} of {}", dropped.len(), browsed.len());
            Ok(dropped)
        })
        .await?;
        for answer in dropped {
            let absent = list(&answer, "absent")?;
            let spans =
                absent.iter().find(|absent| absent["signal"] == "spans").context("nothing is said")?;
            ensure!(spans["reason"] == "sampled_out", "{}", short(&answer));
            ensure!(spans["detail"].to_string().contains("browsing"), "{}", short(&answer));
        }
        let bought = scene.trace(|spans| spans.iter().any(|span| scene.is_of(span, Service::Payment)))?;
        let answer = scene.look_up(bought).await?;
        let sent = scene.traffic.spans.iter().filter(|span| span.trace == bought).count();
        ensure!(list(&answer, "spans")?.len() == sent, "a purchase is whole: {}", short(&answer));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn four_receivers_and_their_spellings_make_one_trace() -> Result<()> {
    each_seed("four receivers", async |seed| {
        let plan = Plan { visits: 40, short_ids: true, ..Plan::new(seed, Fault::None) };
        let scene = Scene::of(plan).await?;
        let bought = scene.trace(|spans| {
            [Service::Payment, Service::Catalog, Service::Shipping, Service::Mailer]
                .into_iter()
                .all(|service| spans.iter().any(|span| scene.is_of(span, service)))
        })?;
        let answer = scene.look_up(bought).await?;
        let sent: Vec<_> = scene.traffic.spans.iter().filter(|span| span.trace == bought).collect();
        let spans = list(&answer, "spans")?;
        ensure!(spans.len() == sent.len(), "{} of {} spans", spans.len(), sent.len());
        for span in sent {
            let id = format!("{:016x}", span.id);
            let found =
                spans.iter().find(|found| found["span_id"] == id.as_str()).context("a span is missing")?;
            let parent = span.parent.map(|parent| format!("{parent:016x}"));
            ensure!(found["parent_span_id"].as_str() == parent.as_deref(), "{found}");
            ensure!(!found["oddities"].to_string().contains("orphan"), "{found}");
        }
        // Each line that says so is under its span.
        let logs = list(&answer, "logs")?;
        for line in scene.lines(bought).filter(|line| line.says_so) {
            let found = logs.iter().find(|log| log["line"] == line.text.as_str());
            let found = found.with_context(|| format!("not among the lines: {}", line.text))?;
            ensure!(found["span_id"] == format!("{:016x}", line.belongs.1), "{found}");
        }
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_called_and_says_nothing_is_told() -> Result<()> {
    each_seed("silent", async |seed| {
        let scene = Scene::of(Plan { visits: 120, ..Plan::new(seed, Fault::Silent) }).await?;
        let turn = scene.turn()?;
        let bought = scene.trace(|spans| {
            spans.iter().any(|span| span.start > turn && scene.is_of(span, Service::Mailer))
                && spans.iter().all(|span| span.start > turn)
        })?;
        let answer = scene.look_up(bought).await?;
        let absent = list(&answer, "absent")?;
        let first = absent.iter().find(|absent| absent["signal"] == "spans").context("nothing is said")?;
        ensure!(first["detail"].to_string().contains("`shipping`"), "{}", answer["absent"]);
        // Of a purchase from before nothing is missing.
        let before = scene.trace(|spans| {
            spans.iter().any(|span| scene.is_of(span, Service::Mailer))
                && spans.iter().all(|span| span.end < turn)
        })?;
        let answer = scene.look_up(before).await?;
        let spans = list(&answer, "absent")?.iter().any(|absent| absent["signal"] == "spans");
        ensure!(!spans, "{}", answer["absent"]);
        scene.close().await
    })
    .await
}
