use std::collections::BTreeMap;

use super::*;

const OPENED: u64 = 1_800_000_000_000_000_000;

fn shop(fault: Fault) -> Traffic {
    open(Plan { visits: 240, ..Plan::new(7, fault) }, OPENED)
}

fn mean_ms<'a>(spans: impl Iterator<Item = &'a Span>) -> f64 {
    let (sum, count) = spans.fold((0, 0), |(sum, count), span| (sum + span.duration(), count + 1));
    sum as f64 / f64::from(count.max(1)) / 1e6
}

const ALL: [Fault; 16] = [
    Fault::None,
    Fault::SlowQuery,
    Fault::Crowded,
    Fault::Deadline,
    Fault::Lock,
    Fault::DeadPeer,
    Fault::NoisyNeighbour,
    Fault::Clock,
    Fault::Deployment,
    Fault::RetryStorm,
    Fault::QueueLag,
    Fault::SlowTenant,
    Fault::CacheFlush,
    Fault::Silent,
    Fault::Throttled,
    Fault::Printer,
];

#[test]
fn the_same_plan_gives_the_same_traffic() {
    let plan = Plan { visits: 60, ..Plan::new(3, Fault::Lock) };
    assert_eq!(open(plan, OPENED), open(plan, OPENED));
    assert_ne!(open(plan, OPENED), open(Plan { seed: 4, ..plan }, OPENED));
}

#[test]
fn children_lie_within_their_parents_until_clocks_are_wrong_but_for_messages() {
    for fault in ALL {
        let traffic = shop(fault);
        let by_id: BTreeMap<u64, &Span> = traffic.spans.iter().map(|span| (span.id, span)).collect();
        assert_eq!(by_id.len(), traffic.spans.len(), "ids are unique");
        for span in &traffic.spans {
            assert!(span.start <= span.end && span.start % 1000 == 0 && span.end % 1000 == 0, "{span:?}");
            let Some(parent) = span.parent else { continue };
            let parent = by_id.get(&parent).unwrap_or_else(|| panic!("{fault:?}: no parent of {span:?}"));
            assert_eq!(span.trace, parent.trace);
            assert!(parent.start <= span.start, "{span:?} before {parent:?}");
            assert!(span.kind == Kind::Consumer || span.end <= parent.end || parent.kind == Kind::Producer);
        }
    }
}

#[test]
fn each_line_is_written_within_the_span_that_it_belongs_to() {
    for fault in ALL {
        let traffic = shop(fault);
        let by_id: BTreeMap<u64, &Span> = traffic.spans.iter().map(|span| (span.id, span)).collect();
        for line in &traffic.lines {
            let (trace, span) = line.belongs;
            let span = by_id.get(&span).unwrap_or_else(|| panic!("{fault:?}: no span of {line:?}"));
            assert_eq!(span.trace, trace);
            let late = if traffic.pods[line.pod].service == Service::Edge { 5_000_000 } else { 0 };
            assert!(span.start <= line.time && line.time <= span.end + late, "{line:?} outside {span:?}");
            assert_eq!(line.text.contains(&format!("{trace:032x}")), line.says_so, "{}", line.text);
        }
    }
}

#[test]
fn several_requests_are_at_hand_in_a_pod_now_and_then() {
    let traffic = shop(Fault::None);
    let at_hand = |span: &Span| {
        let others = traffic
            .spans
            .iter()
            .filter(|other| other.pod == span.pod && other.kind == Kind::Server && other.trace != span.trace);
        others.filter(|other| other.start < span.start && span.start < other.end).count()
    };
    for service in Service::ALL.into_iter().filter(|service| *service != Service::Mailer) {
        assert!(traffic.of(service).any(|span| at_hand(span) > 0), "{service:?} is never busy");
    }
}

#[test]
fn a_share_of_the_catalogs_traffic_goes_to_its_canary() {
    let traffic = shop(Fault::None);
    let served: Vec<_> = traffic.of(Service::Catalog).filter(|span| span.kind == Kind::Server).collect();
    let canary = served.iter().filter(|span| traffic.pods[span.pod].version == CANARY).count();
    assert!((served.len() / 8..served.len() / 3).contains(&canary), "{canary} of {}", served.len());
}

#[test]
fn hidden_ids_are_in_no_line_but_known_to_the_truth() {
    let traffic = open(Plan { visits: 60, hidden: 500, ..Plan::new(5, Fault::None) }, OPENED);
    let said = traffic.lines.iter().filter(|line| line.says_so).count();
    let all = traffic.lines.len();
    assert!((all * 3 / 10..all * 6 / 10).contains(&said), "{said} of {all}");
}

#[test]
fn each_fault_does_what_it_says() {
    let well = shop(Fault::None);
    let root = |traffic: &Traffic| mean_ms(traffic.spans.iter().filter(|span| span.parent.is_none()));
    for slow in [Fault::SlowQuery, Fault::Lock, Fault::NoisyNeighbour, Fault::SlowTenant] {
        let (slower, usual) = (root(&shop(slow)), root(&well));
        assert!(slower > usual * 1.1, "{slow:?}: {slower} ms, otherwise {usual} ms");
    }
    let orders =
        |traffic: &Traffic| mean_ms(traffic.of(Service::Checkout).filter(|s| s.kind == Kind::Server));
    assert!(orders(&shop(Fault::Throttled)) > orders(&well) * 1.1);
    let failed = |traffic: &Traffic, service| traffic.of(service).filter(|s| s.error.is_some()).count();
    assert!(failed(&shop(Fault::DeadPeer), Service::Payment) > 10);
    assert!(failed(&shop(Fault::RetryStorm), Service::Inventory) > 10);
    assert!(failed(&shop(Fault::Deployment), Service::Reviews) > 5);
    assert_eq!(failed(&well, Service::Payment) + failed(&well, Service::Reviews), 0);
    let late = shop(Fault::QueueLag);
    let produced: BTreeMap<u64, u64> =
        late.of(Service::Checkout).filter(|s| s.kind == Kind::Producer).map(|s| (s.id, s.end)).collect();
    let lag = late.of(Service::Mailer).filter_map(|s| Some(s.start - produced.get(&s.parent?)?)).max();
    assert!(lag.is_some_and(|lag| lag > 3_000_000_000), "{lag:?}");
    let silent = shop(Fault::Silent);
    let turned = silent.turned.unwrap_or_default();
    // Those who were on their way at the turn may still speak.
    assert!(silent.of(Service::Shipping).all(|span| span.start < turned));
    assert!(silent.lines.iter().any(|l| silent.pods[l.pod].service == Service::Shipping && l.time > turned));
    let wrong = shop(Fault::Clock);
    for (pod, ahead) in wrong.pods.iter().zip(&wrong.ahead) {
        assert_eq!(*ahead, if pod.host == WRONG_CLOCK_HOST { WRONG_CLOCK_AHEAD } else { 0 });
    }
}
