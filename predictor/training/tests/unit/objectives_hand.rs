//! Unit tests of `src/objectives/hand.rs`.

use super::*;

fn camera() -> HandCamera {
    HandCamera {
        eye_m: [1.12, 0.36, 0.5],
        look_at_m: [0.5, 0.015, 0.1],
        fov_rad: 0.48,
    }
}

fn config() -> EncoderConfig {
    serde_json::from_value(serde_json::json!({
        "img_size": [64, 64], "patch_size": 16, "num_frames": 2, "tubelet_size": 2,
        "embed_dim": 8, "depth": 1, "num_heads": 1, "mlp_ratio": 4.0, "rope": "tiled",
    }))
    .unwrap()
}

#[test]
fn what_the_camera_looks_at_is_in_the_middle() {
    let at = camera().project([0.5, 0.015, 0.1], [64, 64]);
    assert!((at[0] - 32.0).abs() < 1e-9 && (at[1] - 32.0).abs() < 1e-9);
    let above = camera().project([0.5, 0.015, 0.2], [64, 64]);
    assert!(
        (above[0] - 32.0).abs() < 1e-9 && above[1] < 28.0,
        "{above:?}"
    );
    let behind = camera().project([3.0, 1.4, 1.0], [64, 64]);
    assert_eq!(behind, [32.0, 32.0]);
}

#[test]
fn the_middle_place_samples_between_the_tokens() {
    // The middle of the picture is the corner that four patches share.
    let state = [0.5, 0.015, 0.1, 0.0, 0.0, 0.0, 0.4];
    let (shares, inside) = shown(&config(), &[camera()], &[state]).unwrap();
    let shares: Vec<Vec<f32>> = shares.get(0).unwrap().to_vec2().unwrap();
    for (token, share) in shares[PLACES / 2].iter().enumerate() {
        let near = [5, 6, 9, 10].contains(&token);
        let expected = if near { 0.25 } else { 0.0 };
        assert!((share - expected).abs() < 1e-5, "{token}: {share}");
    }
    for place in &shares {
        assert!((place.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let inside: Vec<f32> = inside.flatten_all().unwrap().to_vec1().unwrap();
    assert!(
        inside.iter().all(|v| *v < 1e-4 || *v > 1.0 - 1e-4),
        "{inside:?}"
    );
}

#[test]
fn every_camera_s_places_are_in_its_own_picture() {
    let config = EncoderConfig {
        img_size: [64, 128],
        ..config()
    };
    let side = HandCamera {
        eye_m: [0.68, -0.67, 0.5],
        ..camera()
    };
    let state = [0.5, 0.015, 0.1, 0.0, 0.0, 0.0, 0.4];
    let (shares, inside) = shown(&config, &[camera(), side], &[state]).unwrap();
    assert_eq!(shares.dims(), [1, 2 * PLACES, 32]);
    assert_eq!(inside.dims(), [1, 4]);
    let shares: Vec<Vec<f32>> = shares.get(0).unwrap().to_vec2().unwrap();
    for (place, shares) in shares.iter().enumerate() {
        let right = place >= PLACES;
        for (token, share) in shares.iter().enumerate() {
            assert!(
                *share == 0.0 || (token % 8 >= 4) == right,
                "{place} {token}"
            );
        }
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    // Both look at the hand: it is in the middle of both pictures.
    for (first, middle) in [(PLACES / 2, 1), (PLACES + PLACES / 2, 5)] {
        for row in 1..=2 {
            let near = &shares[first][row * 8 + middle..][..2];
            assert!(near.iter().all(|s| (s - 0.25).abs() < 1e-5), "{near:?}");
        }
    }
}

#[test]
fn impossible_cameras_are_refused_by_name() {
    camera().check().unwrap();
    type Spoil = fn(&mut HandCamera);
    let spoilt: [(Spoil, &str); 4] = [
        (|c| c.fov_rad = 0.0, "fov_rad"),
        (|c| c.eye_m = [0.5, 0.015, 1.0], "straight"),
        (|c| c.eye_m = c.look_at_m, "straight"),
        (|c| c.eye_m = [f64::NAN; 3], "numbers"),
    ];
    for (spoil, name) in spoilt {
        let mut wrong = camera();
        spoil(&mut wrong);
        let error = wrong.check().unwrap_err();
        assert!(error.contains(name), "{error}");
    }
}
