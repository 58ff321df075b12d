//! What goes over the wire, in each protocol.

use super::*;

#[tokio::test]
async fn a_trefoil_gets_everything_as_it_was() {
    let Bench { shipper, endpoint, .. } = bench(Protocol::Trefoil, &[], |_| ()).await;
    let batch = batch(&["one", "two"]);
    shipper.ship(&batch).await;
    let walked = walk_logs(&endpoint.taken.lock().unwrap()[0], 0, None, None).unwrap();
    assert_eq!(walked.logs, batch.logs);
    assert_eq!(walked.positions, batch.positions);
    assert!(walked.rejections.is_empty());
}

#[tokio::test]
async fn parts_of_a_batch_move_positions_no_further_than_they_reach() {
    let Bench { shipper, endpoint, .. } = bench(Protocol::Trefoil, &[], |_| ()).await;
    let batch = batch(&["one", "two", "poison", "four", "five"]);
    shipper.ship(&batch).await;
    let mut known = 0;
    let mut lines = Vec::new();
    for body in endpoint.taken.lock().unwrap().iter() {
        let walked = walk_logs(body, 0, None, None).unwrap();
        // As a store drops what it has.
        let fresh = walked.logs.rows.iter().filter(|row| row.offset >= known);
        lines.extend(fresh.map(|row| String::from_utf8_lossy(walked.logs.line(row)).into_owned()));
        known = walked.positions.iter().map(|position| position.offset).fold(known, u64::max);
    }
    assert_eq!(lines, ["one", "two", "four", "five"]);
    assert_eq!(known, batch.positions[0].offset);
}

#[tokio::test]
async fn a_loki_gets_labels_ids_and_what_is_left_of_the_metadata() {
    let Bench { shipper, endpoint, .. } = bench(Protocol::Loki, &[], |_| ()).await;
    let mut batch = batch(&["hello"]);
    batch.logs.streams = vec![Arc::new(Labels::new([("app", "a \"b\" \\ c\nd"), ("pod", "p")]))];
    shipper.ship(&batch).await;
    let body = &endpoint.taken.lock().unwrap()[0];
    for text in [
        r#"{app="a \"b\" \\ c\nd",pod="p"}"#,
        "hello",
        "\u{8}trace_id\u{12}\u{20}0000000000000000000000000000abcd",
        "\u{7}span_id\u{12}\u{10}00000000000000ef",
        "detected_level",
    ] {
        assert!(contains(body, text), "{text}");
    }
    assert!(!contains(body, "pod_uid"));
}

#[tokio::test]
async fn records_arrive_with_their_resource_and_binary_ids() {
    let bench = bench(Protocol::Otlp, &[], |_| ()).await;
    bench.shipper.ship(&batch(&["hello"])).await;
    let taken = bench.endpoint.taken.lock().unwrap();
    for text in
        ["k8s.namespace.name", "k8s.pod.uid", "the-uid", "service.name", "log.iostream", "hello", "error"]
    {
        assert!(contains(&taken[0], text), "{text}");
    }
    assert!(taken[0].windows(16).any(|window| window == 0xabcd_u128.to_be_bytes()));
    assert!(taken[0].windows(8).any(|window| window == 0xef_u64.to_be_bytes()));
    assert!(!contains(&taken[0], "node-7"));
}

#[tokio::test]
async fn a_request_has_one_tenant() {
    let Bench { shipper, endpoint, .. } = bench(Protocol::Loki, &[], |_| ()).await;
    let mut batch = batch(&["a", "b", "c", "d"]);
    for (row, tenant) in [(1, "t1"), (2, "t1"), (3, "t2")] {
        let start = batch.logs.meta.len() as u32;
        push_pair(&mut batch.logs.meta, TENANT, tenant);
        batch.logs.rows[row].meta = ByteRange { start, end: batch.logs.meta.len() as u32 };
    }
    shipper.ship(&batch).await;
    let tenants = endpoint.tenants.lock().unwrap().clone();
    assert_eq!(tenants, [None, Some("t1".to_owned()), Some("t2".to_owned())]);
    assert!(endpoint.taken.lock().unwrap().iter().all(|body| !contains(body, TENANT)));
    assert!(
        contains(&endpoint.taken.lock().unwrap()[1], "b")
            && contains(&endpoint.taken.lock().unwrap()[1], "c")
    );
}

#[tokio::test]
async fn records_that_share_an_offset_survive_a_batch_in_parts() {
    let Bench { shipper, endpoint, .. } = bench(Protocol::Trefoil, &[], |_| ()).await;
    let mut batch = batch(&["one", "two", "three", "poison"]);
    batch.logs.rows[2].offset = batch.logs.rows[1].offset;
    shipper.ship(&batch).await;
    let (mut known, mut lines) = (0, 0);
    for body in endpoint.taken.lock().unwrap().iter() {
        let walked = walk_logs(body, 0, None, None).unwrap();
        lines += walked.logs.rows.iter().filter(|row| row.offset >= known).count();
        known = walked.positions.iter().map(|position| position.offset).fold(known, u64::max);
    }
    assert_eq!(lines, 3);
}

#[tokio::test]
async fn each_file_of_a_stream_keeps_its_resource() {
    let Bench { shipper, endpoint, .. } = bench(Protocol::Otlp, &[], |_| ()).await;
    let mut batch = batch(&["before", "after"]);
    batch.logs.files.push(FileId { device: 1, inode: 4, head: 5 });
    for (row, restart) in ["restart-0", "restart-1"].into_iter().enumerate() {
        let start = batch.logs.meta.len() as u32;
        push_pair(&mut batch.logs.meta, "restart", restart);
        let meta = ByteRange { start, end: batch.logs.meta.len() as u32 };
        batch.logs.rows[row].meta = meta;
        batch.logs.rows[row].file = row as u32 + 1;
    }
    shipper.ship(&batch).await;
    let walked = walk_logs(&endpoint.taken.lock().unwrap()[0], 0, None, None).unwrap();
    let restarts: Vec<String> = walked
        .logs
        .rows
        .iter()
        .flat_map(|row| walked.logs.metadata(row).filter(|(name, _)| name.contains("restart")))
        .map(|(_, value)| value.to_owned())
        .collect();
    assert_eq!(restarts, ["restart-0", "restart-1"]);
}

/// One line with this metadata beside what lines have.
fn with(pairs: &[(&str, &str)]) -> Batch {
    let mut batch = batch(&["hello"]);
    for (name, value) in pairs {
        push_pair(&mut batch.logs.meta, name, value);
    }
    batch.logs.rows[0].meta.end = batch.logs.meta.len() as u32;
    batch
}

#[tokio::test]
async fn a_tenant_that_no_header_can_carry_does_not_stop_the_shipping() {
    let Bench { shipper, endpoint, waits } = bench(Protocol::Loki, &[], |_| ()).await;
    let batch = with(&[(TENANT, "b\u{f6}s\nX-Evil: 1")]);
    tokio::select! {
        biased;
        () = shipper.ship(&batch) => {}
        () = async {
            while waits.0.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        } => panic!("it is tried again and again"),
    }
    assert_eq!(*endpoint.tenants.lock().unwrap(), [Some("b_s_X-Evil__1".to_owned())]);
}

#[tokio::test]
async fn a_trefoil_gets_a_batch_whole_whatever_its_tenants() {
    let Bench { shipper, endpoint, .. } = bench(Protocol::Trefoil, &[], |_| ()).await;
    let mut batch = batch(&["a", "b"]);
    push_pair(&mut batch.logs.meta, TENANT, "t1");
    batch.logs.rows[1].meta.end = batch.logs.meta.len() as u32;
    shipper.ship(&batch).await;
    assert_eq!(*endpoint.tenants.lock().unwrap(), [None]);
}

#[tokio::test]
async fn a_loki_is_told_each_name_once() {
    let Bench { shipper, endpoint, .. } = bench(Protocol::Loki, &[], |_| ()).await;
    let by_a_stage = "by-a-stage";
    let names = ["trace_id", "span_id", "detected_level", "other"];
    shipper.ship(&with(&names.map(|name| (name, by_a_stage)))).await;
    let body = &endpoint.taken.lock().unwrap()[0];
    assert_eq!(memchr::memmem::find_iter(body, by_a_stage).count(), 1);
}
