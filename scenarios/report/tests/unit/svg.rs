//! Unit tests of `src/svg.rs`.

use super::*;

#[test]
fn ticks_are_round_and_inside() {
    let axis = Axis::around([0.137, 0.29].into_iter(), "energy");
    let ticks = axis.ticks(4);
    assert!((2..=6).contains(&ticks.len()), "{ticks:?}");
    assert!(ticks.iter().all(|t| *t >= axis.low && *t <= axis.high));
    assert_eq!(Axis::steps(0, 3).ticks(6), [0.0, 1.0, 2.0, 3.0]);
    let flat = Axis::around([2.0, 2.0].into_iter(), "");
    assert!(flat.high > flat.low && flat.ticks(4).len() < 20);
    assert_eq!(
        Axis::around([f64::NAN].into_iter(), "").ticks(2),
        [0.0, 1.0]
    );
}

#[test]
fn text_can_t_break_out() {
    let chart = Chart::new(
        100.0,
        100.0,
        "\"><script>",
        Axis::steps(0, 2),
        Axis::steps(0, 2),
    )
    .svg();
    assert!(!chart.contains("<script>"), "{chart}");
}

#[test]
fn gaps_start_a_new_line() {
    let mut chart = Chart::new(360.0, 200.0, "", Axis::steps(0, 3), Axis::steps(0, 3));
    let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, 1.0), (3.0, 2.0)];
    chart.line("a", points.into_iter());
    let svg = chart.svg();
    let line = svg.split("class=\"line a\" d=\"").nth(1).expect("a line");
    let d = line.split('"').next().expect("a path");
    assert_eq!(
        (d.matches('M').count(), d.matches('L').count()),
        (2, 1),
        "{d}"
    );
}
