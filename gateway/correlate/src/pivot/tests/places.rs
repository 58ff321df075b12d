//! Namespaces, clusters and tenants: what has the same name elsewhere is something else.

use std::collections::BTreeSet;

use super::*;

#[tokio::test]
async fn a_line_without_an_id_is_never_surely_of_a_long_trace_nor_of_one_elsewhere() {
    let mut world = World::default();
    let mut poll = span(7, SHOP, "poll loop", at(0), at(650));
    poll.kind = parsers::record::SpanKind::Internal;
    world.spans.push(poll);
    world.logs.push(line(at(50), STREAM, Severity::Info, "cron: gc tick", 0));
    let found = related(&world, line_at(at(50)), None).await;
    let reason = &found.traces[0].reason;
    assert_eq!(reason.rule, "workload_time");
    assert!(reason.confidence <= 0.3 && reason.why.contains("long"), "{reason:?}");

    for (label, value) in [("namespace", "green"), ("cluster", "west")] {
        let mut world = world.clone();
        let resource = [SHOP, &[("k8s.cluster.name", "east")]].concat();
        world.spans = vec![span(7, &resource, "GET /", at(40), at(60))];
        let there = related(&world, line_at(at(50)), None).await;
        assert_eq!(there.traces.len(), 1, "{:?}", there.absent);
        let stream: Vec<_> = STREAM.iter().copied().filter(|(name, _)| *name != label).collect();
        world.logs[0].labels = Arc::new(labels(&[&stream[..], &[(label, value)]].concat()));
        let elsewhere = related(&world, line_at(at(50)), None).await;
        assert!(elsewhere.traces.is_empty(), "{label}={value}: {:?}", elsewhere.traces);
    }
}

/// A service in two namespaces, each with a series of its own.
fn prod_and_staging() -> World {
    let mut world = World::default();
    for (n, place) in [(1, "prod"), (2, "staging")] {
        let resource = [
            ("service.name", "pay"),
            ("k8s.namespace.name", place),
            ("k8s.pod.name", if n == 1 { "pay-7d4b9c-x2x2z" } else { "pay-6f5d8b-c4c4v" }),
        ];
        world.spans.push(span(n, &resource, "GET /pay", at(100 + n), at(103)));
        let stream = [("namespace", place), ("service_name", "pay")];
        world.logs.push(line(at(101), &stream, Severity::Info, place, 0));
        let series = [("__name__", "queue_length"), ("namespace", place), ("service_name", "pay")];
        world.series.push(labels(&series));
        let mut exemplar = exemplar(at(102), n);
        exemplar.series = Arc::new(labels(&series));
        world.exemplars.push(exemplar);
    }
    world
}

#[tokio::test]
async fn a_metric_of_one_namespace_leads_to_nothing_of_another() {
    let selector = "queue_length{namespace=\"prod\"}";
    let mut world = prod_and_staging();
    // As a metrics server answers.
    world.series.truncate(1);
    let found = related(&world, metric(selector, at(150)), None).await;
    let traces: Vec<_> = found.traces.iter().map(|trace| trace.trace_id).collect();
    assert_eq!(traces, [trace_id(1)]);
    let places: BTreeSet<_> =
        found.workloads.iter().filter_map(|related| related.workload.namespace.as_deref()).collect();
    assert_eq!(places, BTreeSet::from(["prod"]));
    assert_eq!(found.logs.iter().map(|log| &*log.record.line).collect::<Vec<_>>(), [b"prod"]);
    assert_eq!(found.exemplars.len(), 1);
    let log_ql = SurfaceQuery::LogQl("{namespace=\"prod\", service_name=\"pay\"}".to_owned());
    assert!(found.queries.contains(&log_ql), "{:?}", found.queries);

    // Streams that do not say where they are may be of it.
    for log in &mut world.logs {
        log.labels = Arc::new(labels(&[("service_name", "pay")]));
    }
    let found = related(&world, metric(selector, at(150)), None).await;
    assert_eq!(found.logs.len(), 2);
}

#[tokio::test]
async fn queries_keep_the_namespace_of_what_was_asked_about() {
    let name = WorkloadName::parse("ns/shop-7d4b9c-x2x2z").unwrap();
    let found = related(&shop(), Start::Workload { name, window: WINDOW }, None).await;
    let text = r#"{namespace="ns", pod=~"shop\\-7d4b9c\\-x2x2z"}"#.to_owned();
    assert!(found.queries.contains(&SurfaceQuery::LogQl(text)), "{:?}", found.queries);
    let found = related(&shop(), line_at(at(100) + 1), None).await;
    let text = "{ resource.k8s.namespace.name = \"ns\" && resource.k8s.pod.name = \"shop-7d4b9c-x2x2z\" }";
    assert!(found.queries.contains(&SurfaceQuery::TraceQl(text.to_owned())), "{:?}", found.queries);
}

#[tokio::test]
async fn an_answer_from_a_metric_is_of_one_tenant_and_calls_no_stored_trace_missing() {
    let counted = |tenant: Option<&str>| {
        let name = ("__name__", "traces_spanmetrics_latency_bucket");
        let all = [name, ("service", "shop"), ("__tenant_id__", tenant.unwrap_or_default())];
        labels(&all[..if tenant.is_some() { 3 } else { 2 }])
    };
    let scraped = labels(&[("__name__", "http_server_duration_seconds_bucket"), ("service", "shop")]);
    for (of, series) in [
        // As they are counted of spans, and as a page shows them that was scraped of a service of both.
        ("counted", [counted(Some("blue")), counted(None)]),
        ("scraped", [scraped.clone(), scraped.clone()]),
    ] {
        let mut world = World::default();
        for (n, series) in (1..).zip(&series) {
            let resource = [("service.name", "shop"), (TENANT, "blue")];
            let resource = &resource[..if n == 1 { 2 } else { 1 }];
            world.spans.push(span(n, resource, "GET /", at(100), at(101)));
            let mut exemplar = exemplar(at(102), n);
            exemplar.series = Arc::new(series.clone());
            world.exemplars.push(exemplar);
            world.series.push(series.clone());
        }
        let options = CorrelateOptions::default();
        let world = Arc::new(world);
        // As the program does it: the stored samples stand for the server.
        let correlator = Correlator::new(world.clone(), Some(world.held()), options.clone());
        let exemplars = Exemplars::new(world.clone(), world.clone(), Some(world.held()), &options);
        let pivot = Pivot::new(Arc::new(correlator), exemplars, world.clone(), world.clone());
        let name = series[0].get("__name__").unwrap();
        let found = pivot.related(metric(name, at(150)), None, LIMIT).await.unwrap();
        assert_eq!(found.tenant.as_deref(), Some("blue"), "{of}");
        let traces: Vec<_> = found.traces.iter().map(|trace| trace.trace_id).collect();
        assert_eq!(traces, [trace_id(1)], "{of}");
        assert_eq!(found.exemplars.len(), 1, "{of}");
        let told = found.warnings.join("; ");
        assert!(told.contains("other tenants ((none))") && !told.contains("no span"), "{of}: {told}");
    }
}
