//! Unit tests of `src/episode_config.rs`.

use super::*;
use rand::SeedableRng;

#[test]
fn a_third_of_the_default_starts_are_in_contact() {
    let mix = DemonstrationConfig::default();
    assert!(mix.faults().is_empty(), "the defaults are valid");
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let styles: Vec<EpisodeConfig> = (0..4000)
        .map(|_| EpisodeConfig::sample(&mix, &mut rng))
        .collect();
    let share = |wanted: fn(&EpisodeConfig) -> bool| {
        styles.iter().filter(|s| wanted(s)).count() as f64 / styles.len() as f64
    };
    let contact = share(|s| matches!(s.start, StartKind::Near | StartKind::InHand));
    assert!((0.33..=0.42).contains(&contact), "{contact}");
    assert!((share(|s| s.behaviour == Behaviour::PickAndPlace) - 0.27).abs() < 0.03);
    assert!(share(|s| s.behaviour == Behaviour::Carry && s.start != StartKind::InHand) == 0.0);
    assert!(styles
        .iter()
        .all(|s| (0.05..=0.5).contains(&s.random_action_share)));
}
