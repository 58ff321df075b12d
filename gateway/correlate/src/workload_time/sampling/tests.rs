use super::*;

#[test]
fn a_tracestate_tells_the_share_of_its_sampler() {
    for (state, share) in [
        ("ot=th:c", Some(0.25)),
        ("ot=th:0", Some(1.0)),
        ("vendor=x,ot=rv:6e6d1a75832a2f;th:8", Some(0.5)),
        ("ot=p:3", Some(0.125)),
        ("es=s:0.2", Some(0.2)),
        ("ot=th:not hex", None),
        ("ot=th:00000000000000000000000000", None),
        ("dd=s:2", None),
        ("", None),
    ] {
        assert_eq!(of_state(state), share, "{state}");
    }
}

#[test]
fn what_is_known_of_requests_moves_the_share() {
    let likeliest = |with, without| {
        let logs = Sampled { with, without }.logs();
        let most = (0..SHARES.len()).max_by(|a, b| logs[*a].total_cmp(&logs[*b]));
        SHARES[most.unwrap()].0
    };
    assert_eq!([likeliest(0.0, 0.0), likeliest(40.0, 0.0), likeliest(12.0, 28.0)], [0.995, 0.995, 0.3]);
    assert_eq!(likeliest(1.0, 100.0), 0.02);
}
