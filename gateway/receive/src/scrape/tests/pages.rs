//! Promises about one target's pages.

use parsers::record::MetricKind;

use super::super::page::end;
use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn samples_have_the_targets_labels_and_what_prometheus_notes_of_a_scrape() {
    let mut pages = Pages::new();
    let (batch, outcome) = pages.take("a{b=\"c\"} 1\nb 2.5 1520879607.789\nc NaN\n");
    assert_eq!(samples(&batch), ["a{b=c} 1", "b{} 2.5", "c{} NaN"]);
    assert_eq!(batch.samples[0].time, pages.time);
    assert_eq!(batch.samples[1].time, 1_520_879_607_789_000_000);
    assert!(batch.samples[2].value.to_bits() != STALE.to_bits());
    let labels = &batch.series[0];
    assert_eq!((labels.get("job"), labels.get("instance")), (Some("shop"), Some("a:1")));
    assert_eq!((noted(&batch, "up"), noted(&batch, "scrape_duration_seconds")), (1.0, 0.5));
    assert_eq!(noted(&batch, "scrape_samples_scraped"), 3.0);
    assert_eq!(noted(&batch, "scrape_samples_post_metric_relabeling"), 3.0);
    assert_eq!(noted(&batch, "scrape_series_added"), 3.0);
    assert_eq!((outcome.scraped, outcome.kept, outcome.failure), (3, 3, None));
    let (batch, _) = pages.take("a{b=\"c\"} 4\nb 2.5\nc 0\n");
    assert_eq!(samples(&batch), ["a{b=c} 4", "b{} 2.5", "c{} 0"]);
    assert_eq!(noted(&batch, "scrape_series_added"), 0.0);
}

#[test]
fn a_label_that_the_target_has_too_is_exported_unless_it_is_honored() {
    let mut pages = Pages::new();
    let page = "a{job=\"x\",exported_job=\"y\",instance=\"\"} 1\n";
    let (batch, _) = pages.take(page);
    assert_eq!(samples(&batch), ["a{exported_exported_job=x,exported_job=y} 1"]);
    let mut pages = Pages::new();
    pages.reading.honor_labels = true;
    assert_eq!(samples(&pages.take(page).0), ["a{exported_job=y,job=x} 1"]);
}

#[test]
fn times_of_the_page_count_only_if_they_are_honored() {
    let mut pages = Pages::new();
    pages.reading.honor_timestamps = false;
    let (batch, outcome) = pages.take("a 1 5\na 2 6\n");
    assert_eq!((batch.samples[0].time, outcome.bad_lines), (pages.time, 1));
    let mut pages = Pages::new();
    let (batch, outcome) = pages.take("a 1 5\na 2 6\n");
    assert_eq!((samples(&batch).len(), outcome.bad_lines), (2, 0));
}

#[test]
fn a_series_that_is_no_longer_there_is_marked_once() {
    let mut pages = Pages::new();
    pages.take("a 1\nb 1\nwith_time 1 5\n");
    assert_eq!(samples(&pages.take("a 2\n").0), ["a{} 2", "b{} stale"]);
    assert_eq!(samples(&pages.take("a 2\n").0), ["a{} 2"]);
    assert_eq!(samples(&pages.take("a 2\nb 3\n").0), ["a{} 2", "b{} 3"]);
    // Stored when the sink takes it, and not before.
    assert_eq!(
        samples(&pages.refuse("a 2\nc 1\n# EOF\n", Format::OpenMetrics).0),
        ["a{} 2", "c{} 1", "b{} stale"]
    );
    assert_eq!(samples(&pages.take("a 2\n").0), ["a{} 2", "b{} stale"]);
    let last = end(&pages.reading.labels, &pages.memory, 7);
    assert_eq!(samples(&last), ["a{} stale"]);
    assert_eq!((last.samples.len(), last.samples[0].time), (6, 7), "with what was noted of the target");
}

#[test]
fn a_failed_scrape_ends_all_series_and_a_page_cut_short_ends_none() {
    let mut pages = Pages::new();
    pages.take("a 1\nb 1\n");
    let (batch, outcome) = pages.refuse("a 2\nb 1", Format::OpenMetrics);
    pages.memory.commit(outcome.whole);
    assert_eq!((samples(&batch), noted(&batch, "up")), (vec!["a{} 2".to_owned()], 0.0));
    assert!(outcome.failure.unwrap().contains("cut short"));
    let mut page = Page::new(&pages.reading, &mut pages.memory, 9);
    page.fail("connection refused".to_owned());
    let (batch, outcome) = page.finish(0.1);
    pages.memory.commit(outcome.whole);
    assert_eq!((samples(&batch), noted(&batch, "up")), (vec!["a{} stale".into(), "b{} stale".into()], 0.0));
    assert_eq!(samples(&pages.take("a 3\n").0), ["a{} 3"]);
}

#[test]
fn exemplars_keep_their_trace_and_are_stored_once() {
    let mut pages = Pages::new();
    let first = format!(
        "a_total 3 # {{trace_id=\"{TRACE}\",span_id=\"00f067aa0ba902b7\",user=\"é\"}} 0.5 1520879607.25\n"
    );
    let (batch, outcome) = pages.take(&first);
    let expected = format!("a_total {TRACE} f067aa0ba902b7 {{user=é}} 0.5 @1520879607250000000");
    assert_eq!((exemplars(&batch), outcome.exemplars), (vec![expected], 1));
    let (batch, outcome) = pages.take(&first.replace("a_total 3", "a_total 4"));
    assert_eq!((exemplars(&batch).len(), outcome.exemplars, outcome.repeated_exemplars), (0, 0, 1));
    // Without a time of its own it has that of the scrape; the trace is found in any spelling.
    let next = format!("a_total 5 # {{traceID=\"{}\"}} 0.25\n", TRACE.to_uppercase());
    let refused = pages.refuse(&format!("{next}# EOF\n"), Format::OpenMetrics);
    assert_eq!(exemplars(&refused.0).len(), 1);
    let (batch, _) = pages.take(&next);
    assert_eq!(
        exemplars(&batch),
        [format!("a_total {TRACE} 0 {{}} 0.25 @{}", pages.time)],
        "what was refused is new"
    );
    let (batch, outcome) = pages.take("a_total 6 # {trace_id=\"x} 1\nb 1 # {} x\n");
    assert_eq!((samples(&batch).len(), outcome.bad_exemplars), (2, 2), "{:?}", samples(&batch));
}

#[test]
fn created_is_since_when_the_series_of_its_group_count() {
    let mut pages = Pages::new();
    let page = "# TYPE a counter\na_total{x=\"1\"} 1\na_created{x=\"1\"} 1520879607.5\na_total{x=\"2\"} 1\n\
                # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\nh_created 5\n\
                # TYPE s summary\ns{quantile=\"1\"} 3\ns_created 6\n# TYPE g gauge\ng_created 9\n";
    for _ in 0..2 {
        let (batch, outcome) = pages.take(page);
        let starts: Vec<u64> = batch.samples.iter().take(8).map(|row| row.start / 1_000_000).collect();
        assert_eq!(starts, [1_520_879_607_500, 0, 5000, 5000, 5000, 5000, 6000, 0]);
        assert_eq!(samples(&batch)[1..3], ["a_total{x=2} 1", "h_bucket{le=1.0} 1"]);
        assert_eq!(samples(&batch)[6..], ["s{quantile=1.0} 3", "g_created{} 9"]);
        assert_eq!((outcome.scraped, outcome.kept), (11, 8));
    }
    let later = pages.take(&page.replace("h_created 5", "h_created 50")).0;
    assert_eq!(later.samples[3].start, 50_000_000_000);
}

#[test]
fn rules_drop_and_change_series_and_the_limit_counts_what_is_left() {
    let mut pages = Pages::new();
    let drop = (RelabelAction::Drop, "__name__", "go_.*");
    pages.reading.metric_relabel = relabel(&[drop, (RelabelAction::LabelDrop, "", "b")]);
    pages.reading.sample_limit = Some(1);
    for _ in 0..2 {
        let (batch, outcome) = pages.take("go_x 1\na{b=\"c\",d=\"e\"} 2\n");
        assert_eq!(samples(&batch), ["a{d=e} 2"]);
        assert_eq!((outcome.scraped, outcome.kept, outcome.failure), (2, 1, None));
    }
    let (batch, outcome) = pages.take("a{d=\"e\"} 2\nx 1\n");
    assert_eq!(samples(&batch), ["a{d=e} stale"]);
    assert_eq!((noted(&batch, "up"), noted(&batch, "scrape_samples_scraped")), (0.0, 0.0));
    assert_eq!(outcome.failure.unwrap(), "more than 1 samples: `sample_limit`");
}

#[test]
fn bad_lines_are_counted_and_cost_none_of_their_neighbours() {
    let mut pages = Pages::new();
    let long = "x".repeat(2049);
    let page = format!("a 1\na-b 1\nc{{l=\"{long}\"}} 1\na 2\nd{{x=\"1\",x=\"2\"}} 1\ne 1\n");
    let (batch, outcome) = pages.take(&page);
    assert_eq!(samples(&batch), ["a{} 1", "e{} 1"]);
    assert_eq!((outcome.bad_lines, outcome.failure, noted(&batch, "up")), (4, None, 1.0));
    assert!(outcome.first_fault.unwrap().starts_with("line 2: a metric's name"));
    let (batch, outcome) = pages.refuse("<html>\n<p>no</p>\n", Format::Text);
    assert_eq!(noted(&batch, "up"), 0.0);
    assert!(outcome.failure.unwrap().starts_with("nothing of the page can be read; line 1:"));
    let (_, outcome) = pages.refuse("", Format::Text);
    assert_eq!(outcome.failure, None, "a program may have nothing to show");
}

#[test]
fn families_are_told_when_they_are_new_or_changed() {
    let mut pages = Pages::new();
    let page =
        "# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n# HELP a_seconds Time.\na_seconds_count 1\n";
    let (batch, _) = pages.take(page);
    let family = &batch.families[0];
    assert_eq!((family.name.as_str(), family.kind), ("a_seconds", MetricKind::Histogram));
    assert_eq!((family.unit.as_str(), family.help.as_str()), ("seconds", "Time."));
    assert_eq!(pages.take(page).0.families, []);
    assert_eq!(pages.take(&page.replace("Time.", "Times.")).0.families[0].help, "Times.");
    pages.memory.tell_again();
    assert_eq!(pages.take(page).0.families.len(), 1);
}

#[test]
fn what_another_set_of_rules_stored_ends_unless_it_goes_on() {
    let mut before = Pages::new();
    before.take("a 1\nb 1\n");
    let mut pages = Pages::new();
    pages.memory = Memory::new(Arc::new(AtomicUsize::new(0)), before.memory.all());
    pages.reading.metric_relabel = relabel(&[(RelabelAction::Drop, "__name__", "b")]);
    assert_eq!(samples(&pages.take("a 1\nb 1\n").0), ["a{} 1", "b{} stale"]);
    assert_eq!(samples(&pages.take("a 1\nb 1\n").0), ["a{} 1"]);
}

#[test]
fn a_target_whose_series_change_all_the_time_is_not_remembered_for_ever() {
    let all = Arc::new(AtomicUsize::new(0));
    let mut pages = Pages::new();
    pages.memory = Memory::new(Arc::clone(&all), Vec::new());
    for lap in 0..100 {
        let mut page = "# TYPE c counter\n".to_owned();
        for n in 0..100 {
            page.push_str(&format!("c_total{{lap=\"{lap}\",n=\"{n}\"}} 1\nfixed{{n=\"{n}\"}} {lap}\n"));
        }
        let (batch, _) = pages.take(&page);
        assert_eq!(batch.samples.len(), 200 + 5 + if lap == 0 { 0 } else { 100 });
    }
    assert!(all.load(std::sync::atomic::Ordering::Relaxed) <= 500, "{all:?}");
    drop(pages);
    assert_eq!(all.load(std::sync::atomic::Ordering::Relaxed), 0);
}
