use proptest::prelude::*;

use super::*;

fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() <= expected.abs() * 1e-3 + 1e-12, "{got} is not {expected}");
}

#[test]
fn tails_of_the_normal_distribution_are_right_far_out() {
    near(two_sided(0.0), 1.0);
    near(two_sided(1.959_964), 0.05);
    near(two_sided(2.575_829), 0.01);
    near(two_sided(5.0), 5.733e-7);
    near(two_sided(10.0), 1.524e-23);
}

#[test]
fn fishers_test_is_exact() {
    let counts = Counts::new(100);
    // The lady who tastes tea: three of four cups.
    near(counts.test((3, 4), (1, 4)).p, 0.4857);
    near(counts.test((8, 10), (1, 10)).p, 0.005_477);
    near(counts.test((0, 5), (5, 5)).p, 0.007_937);
    assert_eq!(counts.test((3, 4), (1, 4)).effect, 0.5);
}

#[test]
fn large_counts_are_tested_by_chi_square() {
    let tested = Counts::new(2000).test((60, 1000), (30, 1000));
    assert_eq!(tested.test, Test::ChiSquare);
    near(tested.p, 0.001_76);
}

#[test]
fn ranks_tell_lists_apart_and_equal_ones_not() {
    let (low, high): (Vec<f64>, Vec<f64>) =
        ((0..20).map(f64::from).collect(), (20..40).map(f64::from).collect());
    let tested = values(&high, &low);
    assert_eq!(tested.effect, 1.0);
    assert!(tested.p < 1e-6);
    assert_eq!(values(&low, &low).effect, 0.0);
    near(values(&low, &low).p, 1.0);
    assert_eq!(values(&[1.0; 9], &[1.0; 7]).p, 1.0);
    assert_eq!(values(&[], &low).p, 1.0);
}

#[test]
fn many_tests_are_worth_less_than_one() {
    assert_eq!(corrected(&[0.01, 0.04, 0.03, 0.5]), [0.04, 0.04 * 4.0 / 3.0, 0.04 * 4.0 / 3.0, 0.5]);
    assert!(corrected(&[]).is_empty());
}

#[test]
fn half_of_the_values_are_no_larger_than_the_median_and_a_tenth_no_smaller_than_the_last_decile() {
    assert_eq!([0.5, 0.9].map(|share| quantile(&[100, 400], share)), [100, 400]);
    let hundred: Vec<u64> = (1..=100).collect();
    assert_eq!([0.5, 0.9, 0.95, 0.99, 1.0].map(|share| quantile(&hundred, share)), [50, 90, 95, 99, 100]);
    assert_eq!((quantile(&[], 0.5), quantile(&[7], 0.5), quantile(&[7], 0.99)), (0, 7, 7));
}

proptest! {
    #[test]
    fn swapping_the_lists_mirrors_the_effect(
        a in prop::collection::vec(0u8..20, 1..40),
        b in prop::collection::vec(0u8..20, 1..40),
    ) {
        let floats = |list: &[u8]| list.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let (one, other) = (values(&floats(&a), &floats(&b)), values(&floats(&b), &floats(&a)));
        prop_assert!((one.p - other.p).abs() < 1e-9);
        prop_assert!((one.effect + other.effect).abs() < 1e-9);
        prop_assert!((0.0..=1.0).contains(&one.p));
        let counts = Counts::new(100);
        let few = |list: &[u8]| (list.iter().filter(|v| **v < 5).count(), list.len());
        let (one, other) = (counts.test(few(&a), few(&b)), counts.test(few(&b), few(&a)));
        prop_assert!((one.p - other.p).abs() < 1e-9);
        prop_assert!((one.effect + other.effect).abs() < 1e-9);
    }
}

#[test]
fn weights_of_one_and_nothing_test_as_two_lists_do() {
    let values: Vec<f64> = (0..40).map(|n| f64::from(n * 7 % 40)).collect();
    let ranks = Ranks::new(&values);
    let first = 12.0;
    let sum: f64 = ranks.of.iter().take(12).sum();
    let weighed = ranks.weighed(sum, first, first - first * first / 40.0);
    let listed = ranks.test(sum, 12).p;
    assert!((weighed - listed).abs() < 0.03, "{weighed} {listed}");
    let half = ranks.weighed(sum / 2.0, first / 2.0, first / 4.0 - first * first / 160.0);
    assert!((half - weighed).abs() < 1e-9, "a weight of its own for all is no other test");
}
