use super::{Capacity, Exceeded};

#[test]
fn queries_share_what_there_is_and_give_it_back() {
    let capacity = Capacity::new(10, 1_000);
    let (one, other) = (capacity.allowance(), capacity.allowance());
    one.take(600).unwrap();
    assert_eq!(other.take(600), Err(Exceeded::Busy(1_000)));
    assert_eq!(one.take(600), Err(Exceeded::Bytes(1_000)), "alone it is too much");
    let clone = one.clone();
    drop(one);
    assert_eq!(other.take(600), Err(Exceeded::Busy(1_000)), "a clone holds the same");
    drop(clone);
    other.take(600).unwrap();
    other.give(600);
    capacity.allowance().take(1_000).unwrap();
}

#[test]
fn an_answer_is_bounded_in_points_and_long_labels_count() {
    let allowance = Capacity::new(10, 1 << 20).allowance();
    allowance.answer(10, 40).unwrap();
    assert_eq!(allowance.answer(11, 0), Err(Exceeded::Points(10)));
    assert_eq!(allowance.answer(1, 1_000), Err(Exceeded::Points(10)));
}

#[test]
fn values_are_taken_in_pieces_and_none_is_forgotten() {
    let capacity = Capacity::new(10, 8 * 10_000);
    let allowance = capacity.allowance();
    let mut counter = allowance.counter(8);
    let counted = (0..20_000).take_while(|_| counter.add(1).is_ok()).count();
    assert!((5_000..=10_000).contains(&counted), "{counted}");
    assert!(allowance.counter(8).add(9_999).is_err());
}
