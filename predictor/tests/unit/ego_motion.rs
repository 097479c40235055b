//! Unit tests of `src/ego_motion.rs`.

use super::*;

#[test]
fn moves_fill_the_box_evenly_and_leave_the_rest() {
    let space = ActionSpace::default();
    let moves = probe_actions(&space, None);
    let bound = space.max_translation_m as f32;
    let mut slabs = [[0; 8]; 3];
    for sample in 0..PROBES {
        let action = moves.action(sample, 0);
        assert!(action[..3].iter().all(|v| v.abs() <= bound), "{action:?}");
        assert_eq!(action[3..], [0.0; 4]);
        for (slabs, v) in slabs.iter_mut().zip(action) {
            slabs[(((v / bound + 1.0) * 4.0) as usize).min(7)] += 1;
        }
    }
    // Eight a slab on average, along every axis. Of independent draws one in hundreds would do.
    assert!(
        slabs.iter().flatten().all(|n| (5..=11).contains(n)),
        "{slabs:?}"
    );
}

#[test]
fn rotations_move_where_the_model_has_them() {
    let space = ActionSpace {
        max_rotation_rad: 0.1,
        ..ActionSpace::default()
    };
    let moves = probe_actions(&space, None);
    let largest = |i: usize| {
        (0..PROBES)
            .map(|s| moves.action(s, 0)[i].abs())
            .fold(0.0, f32::max)
    };
    assert!((3..6).all(|i| largest(i) > 0.08 && largest(i) <= 0.1));
    assert_eq!(largest(6), 0.0);
}

#[test]
fn no_move_leaves_the_room() {
    let slack = RelativeBounds {
        below_m: [-1.0, -1.0, -0.01],
        above_m: [1.0, 0.0, 1.0],
    };
    let moves = probe_actions(&ActionSpace::default(), Some(&slack));
    let along = |i: usize| (0..PROBES).map(move |s| moves.action(s, 0)[i]);
    assert!(along.clone()(1).all(|y| y <= 0.0) && along.clone()(2).all(|z| z >= -0.01));
    assert!(along(2).any(|z| z > 0.06));
}

#[test]
fn the_root_solves_its_equation() {
    for d in 1..7 {
        let x = root(d);
        assert!((x.powi(d as i32 + 1) - x - 1.0).abs() < 1e-12, "{d}: {x}");
    }
}

#[test]
fn changes_are_averaged_by_entry() {
    let after = [vec![1.0, 2.0], vec![-1.0, 2.0]];
    assert_eq!(latent_sensitivity(&[0.0, 2.0], &after), [1.0, 0.0]);
    assert_eq!(latent_sensitivity(&[0.0, 2.0], &[]), [0.0, 0.0]);
}
