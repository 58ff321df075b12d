//! What a person sees who opens the page in a browser.

use anyhow::{Context, Result, ensure};
use tests::harness::shown;
use tests::shop::{Fault, Plan, Service};

use super::scene::{Scene, each_seed, list};

/// The part of a page that views fill, of which each of these is said and nothing went wrong.
async fn view(scene: &Scene, at: &str, said: &[&str]) -> Result<String> {
    let page = shown(&format!("{}#/{at}", scene.page())).await?;
    let (_, main) = page.split_once("<main").context("a main part")?;
    for wrong in ["NaN", "undefined", "[object", "Infinity", "class=\"refused\""] {
        ensure!(!main.contains(wrong), "{at} shows {wrong}: {main}");
    }
    for text in said {
        ensure!(main.contains(text), "{at} does not show {text:?}: {main}");
    }
    Ok(main.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_of_the_page_shows_what_the_gateway_answers() -> Result<()> {
    each_seed("page", async |seed| {
        let scene = Scene::of(Plan { visits: 120, ..Plan::new(seed, Fault::SlowQuery) }).await?;
        let names: Vec<&str> = scene.traffic.pods.iter().map(|pod| pod.service.name()).collect();
        view(&scene, "", &[&names[..], &["Who calls whom", "<svg"]].concat()).await?;

        let trace = scene.trace(|spans| spans.len() > 8)?;
        let answer = scene.look_up(trace).await?;
        let id = answer["trace_id"].as_str().context("an id")?;
        let main = view(&scene, &format!("trace/{id}"), &["Spans and their lines", id]).await?;
        let spans = list(&answer, "spans")?;
        ensure!(main.matches("class=\"track\"").count() == spans.len(), "{} spans: {main}", spans.len());
        let lines = list(&answer, "logs")?;
        ensure!(
            !lines.is_empty() && main.matches("class=\"line ").count() == lines.len(),
            "{lines:?}: {main}"
        );

        let catalog = Service::Catalog.name();
        view(&scene, &format!("service/{catalog}"), &["Operations", "Requests", "Patterns of its lines"])
            .await?;
        view(&scene, &format!("versions/{catalog}"), &["Traffic", "against"]).await?;
        view(&scene, "variance/frontend/GET%20%2Fproducts%2F%7Bid%7D", &["Where the differences come from"])
            .await?;
        view(&scene, "trace/00000000000000000000000000000bad", &["Nothing was found", "never seen"]).await?;
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_id_is_told_and_nothing_that_was_sent_becomes_markup() -> Result<()> {
    let scene = Scene::of(Plan { visits: 5, ..Plan::new(3, Fault::None) }).await?;
    let page = shown(&format!("{}#/trace/%3Cimg%20src%3Dx%20id%3Dgotcha%3E", scene.page())).await?;
    ensure!(page.contains("class=\"refused\"") && page.contains("is not a trace id"), "{page}");
    ensure!(!page.contains("<img src=\"x\""), "{page}");
    scene.close().await
}
