//! Configurations that cannot be used.

use super::*;

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let inner = vec![StageConfig::Output(text("x")), regex("(")];
    let errors = Pipeline::new(&[
        regex("no group"),
        StageConfig::Match(MatchConfig {
            selector: text("{"),
            action: MatchAction::Keep(inner),
            drop_counter_reason: None,
        }),
        StageConfig::Sampling(1.5),
        StageConfig::Drop(DropConfig::default()),
    ])
    .unwrap_err();
    let places: Vec<Vec<usize>> = errors.iter().map(|error| error.at.clone()).collect();
    assert_eq!(places, [vec![0], vec![1, 1], vec![1], vec![2], vec![3]]);
    assert_eq!(errors[1].stage, "regex");
    assert!(
        errors[1].to_string().starts_with("stage [1][1] regex: the regular expression `(` cannot be read")
    );
}

#[test]
fn each_stage_refuses_what_can_never_do_anything() {
    let d = DropConfig::default;
    let long_chain = vec![StageConfig::Decolorize; MAX_STAGES + 3];
    assert_eq!(Pipeline::new(&long_chain).unwrap_err().len(), 1);
    for (stage, expected) in [
        (StageConfig::Json(JsonConfig::default()), "at least one"),
        (StageConfig::Logfmt(LogfmtConfig::default()), "at least of one"),
        (StageConfig::Labels(Vec::new()), "at least one name"),
        (StageConfig::Labels(vec![(text("a-b"), None)]), "cannot name a label"),
        (StageConfig::StaticLabels(vec![(text("1"), text("x"))]), "cannot name a label"),
        (StageConfig::LabelDrop(Vec::new()), "a list of labels"),
        (StageConfig::Output(String::new()), "a `source`"),
        (StageConfig::Drop(DropConfig { value: some("x"), longer_than: Some(1), ..d() }), "needs a `source`"),
        (
            StageConfig::Drop(DropConfig {
                value: some("x"),
                expression: some("x"),
                source: vec![text("a")],
                ..d()
            }),
            "cannot both",
        ),
        (
            StageConfig::Replace(ReplaceConfig { expression: text("x"), ..ReplaceConfig::default() }),
            "no group",
        ),
        (
            StageConfig::Timestamp(TimestampConfig { format: text("Unix"), ..TimestampConfig::default() }),
            "a `source`",
        ),
        (StageConfig::Limit(LimitConfig { rate: 0.0, burst: 1, ..LimitConfig::default() }), "a `rate`"),
        (StageConfig::Limit(LimitConfig { rate: 1.0, burst: 0, ..LimitConfig::default() }), "a `burst`"),
        (
            StageConfig::Limit(LimitConfig {
                rate: 1.0,
                burst: 1,
                by_label_name: some("a"),
                ..LimitConfig::default()
            }),
            "`drop: true`",
        ),
        (StageConfig::Truncate(TruncateConfig::default()), "`rules`"),
        (StageConfig::Metrics(Vec::new()), "at least one metric"),
    ] {
        let error = refused(stage);
        assert!(error.contains(expected), "{error}");
    }
}
