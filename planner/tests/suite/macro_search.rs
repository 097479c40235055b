//! The search over macro-actions.

use foresight_planner::{
    solve, Action, ActionSequences, Constraints, Energy, EnergyError, LevelTwoSearch, MacroRange,
    MacroSearch, SeededNoise,
};

const RANGE: MacroRange = MacroRange {
    low: [-0.2, -0.2, -0.2, 0.0, 0.0, 0.0, -1.0],
    high: [0.2, 0.2, 0.2, 0.0, 0.0, 0.0, 1.0],
};

/// Two valleys: going left costs 0.2 at best, going right and then closing nothing.
struct TwoValleys;

impl Energy for TwoValleys {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let of = |sample| {
            let (first, second) = (sequences.action(sample, 0), sequences.action(sample, 1));
            let left = 0.2 + (first[0] + 0.1).abs();
            let right = (first[0] - 0.13).abs() + (second[6] - 1.0).abs();
            left.min(right)
        };
        Ok((0..sequences.samples()).map(of).collect())
    }
}

fn going(x: f64, gripper: f64) -> Vec<Action> {
    let action = |translation, gripper| Action {
        translation_m: [translation, 0.0, 0.0],
        rotation_rad: [0.0; 3],
        gripper,
    };
    vec![action(x, 0.0), action(0.0, gripper)]
}

fn search(config: LevelTwoSearch, proposals: &[Vec<Action>]) -> Vec<Action> {
    let mut search = MacroSearch::new(config, RANGE, &Constraints::default(), proposals);
    let mut noise = SeededNoise::new(3, 0);
    let plan = solve(&mut search, &TwoValleys, &mut noise).expect("a plan");
    plan.actions
}

#[test]
fn it_keeps_valleys_apart_and_ends_in_the_deeper_one() {
    let config = LevelTwoSearch {
        samples: 64,
        iterations: 2,
        spread: 0.12,
        prior_weight: 0.02,
        horizon: 2,
        ..LevelTwoSearch::default()
    };
    let found = search(config, &[going(-0.1, 0.0), going(0.1, 1.0)]);
    assert!((found[0].translation_m[0] - 0.13).abs() < 0.01, "{found:?}");
    assert!(found[1].gripper > 0.95, "{found:?}");
    // The same seed, the same plan.
    assert_eq!(found, search(config, &[going(-0.1, 0.0), going(0.1, 1.0)]));
}

#[test]
fn the_prior_keeps_it_at_a_proposal_and_the_range_inside_the_data() {
    let config = LevelTwoSearch {
        horizon: 2,
        prior_weight: 100.0,
        ..LevelTwoSearch::default()
    };
    let found = search(config, &[going(0.1, 1.0)]);
    assert!((found[0].translation_m[0] - 0.1).abs() < 0.005, "{found:?}");
    let outside = search(
        LevelTwoSearch {
            spread: 0.0,
            ..config
        },
        &[going(0.9, 1.0)],
    );
    assert!(
        (outside[0].translation_m[0] - 0.2).abs() < 1e-6,
        "{outside:?}"
    );
}

#[test]
fn without_proposals_it_begins_at_standing_still() {
    struct Still;
    impl Energy for Still {
        fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
            let moved = |s| (0..2).flat_map(move |h| sequences.action(s, h).iter());
            let sum = |s| moved(s).map(|v| v.abs()).sum();
            Ok((0..sequences.samples()).map(sum).collect())
        }
    }
    let config = LevelTwoSearch {
        horizon: 2,
        ..LevelTwoSearch::default()
    };
    let constraints = Constraints::default();
    let mut search = MacroSearch::new(config, RANGE, &constraints, &[]);
    let plan = solve(&mut search, &Still, &mut SeededNoise::new(1, 0)).expect("a plan");
    assert_eq!(plan.first(), Action::default());
}
