//! Unit tests of `src/schedule.rs`.

use super::*;

#[test]
fn a_cosine_ends_where_it_should_and_stays() {
    let schedule = CosineSchedule {
        reference: 0.04,
        last: 0.4,
        total_steps: 10,
    };
    assert!(schedule.value(0) > 0.04 && schedule.value(0) < 0.06);
    assert_eq!(schedule.value(9), 0.4);
    assert_eq!(schedule.value(500), 0.4);
}

#[test]
fn stays_at_the_last_rate_past_the_end() {
    let schedule = WsdSchedule {
        warmup_steps: 2,
        anneal_steps: 3,
        total_steps: 10,
        ..WsdSchedule::default()
    };
    assert!((schedule.rate(0) - (7.5e-5 + 4.25e-4) / 2.0).abs() < 1e-12);
    assert_eq!(schedule.rate(4), 4.25e-4);
    assert_eq!(schedule.rate(9), 0.0);
    assert_eq!(schedule.rate(1_000), 0.0);
}
