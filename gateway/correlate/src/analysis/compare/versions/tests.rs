use super::*;

#[test]
fn numbers_in_versions_count_by_size() {
    assert_eq!(newer("1.10.0", "1.9.3"), Ordering::Greater);
    assert_eq!(newer("v2", "v10"), Ordering::Less);
    assert_eq!(newer("2.0.0", "2.0.0"), Ordering::Equal);
}
