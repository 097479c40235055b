//! Unit tests of `src/change_directions.rs`.

use super::*;
use rand::Rng;

/// Changes of 24 values: the first eight follow the action, the ninth is rare and alone.
fn changes(count: usize) -> Changes {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut made = Changes::default();
    for at in 0..count {
        let pose: Vec<f32> = (0..INPUTS).map(|_| rng.random_range(-1.0..1.0)).collect();
        let mut change = [0f32; 24];
        for (i, value) in change.iter_mut().enumerate() {
            *value = rng.random_range(-0.01..0.01);
            if i < 8 {
                *value += 3.0 * pose[7] * pose[i % 4] + pose[8];
            }
        }
        if at % 10 == 0 {
            change[8] += rng.random_range(-1.0..1.0);
        }
        made.latents.extend(change);
        made.poses.extend(pose);
    }
    made
}

#[test]
fn what_the_pose_explains_is_left_out_and_the_rest_has_unit_variance() {
    let changes = changes(4000);
    let fitted = ChangeDirections::fit(&changes, 4, 1).unwrap();
    assert_eq!(fitted.count(), 4);
    let scaled = fitted.scaled.to_vec2::<f32>().unwrap();
    // The rare direction comes first, by itself.
    let first: Vec<f32> = scaled.iter().map(|row| row[0].abs()).collect();
    let norm = first.iter().map(|v| v * v).sum::<f32>().sqrt();
    assert!(first[8] / norm > 0.99, "{first:?}");
    let surprise = fitted.surprise(&changes).unwrap();
    let mean = surprise.iter().sum::<f32>() / surprise.len() as f32;
    assert!((mean - 1.0).abs() < 0.05, "{mean}");
    let rare: Vec<f32> = surprise.iter().step_by(10).copied().collect();
    let rare = rare.iter().sum::<f32>() / rare.len() as f32;
    assert!(rare > 2.0 * mean, "{rare}");
}

#[test]
fn the_error_is_that_along_the_directions() {
    let changes = changes(3000);
    let fitted = ChangeDirections::fit(&changes, 4, 1).unwrap();
    let zeros = Tensor::zeros((2, 3, 8), DType::F32, &Device::Cpu).unwrap();
    let mut off = vec![0f32; 48];
    off[8] = 1.0;
    let off = Tensor::from_vec(off, (2, 3, 8), &Device::Cpu).unwrap();
    let error = fitted.error(&off, &zeros).unwrap();
    let row = fitted.scaled.get(8).unwrap();
    let expected = row.sqr().unwrap().sum_all().unwrap() / 8.0;
    let [error, expected] = [error, expected.unwrap()].map(|t| t.to_scalar::<f32>().unwrap());
    assert!(
        (error - expected).abs() < 1e-5 * expected,
        "{error} {expected}"
    );
    let other = Tensor::zeros((1, 5, 7), DType::F32, &Device::Cpu).unwrap();
    assert!(fitted.error(&other, &other).is_err());
}

#[test]
fn they_come_back_from_a_file_and_the_same_seed_gives_the_same() {
    let changes = changes(1000);
    let fitted = ChangeDirections::fit(&changes, 3, 7).unwrap();
    let again = ChangeDirections::fit(&changes, 3, 7).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(DIRECTIONS_FILE);
    fitted.save(&file).unwrap();
    let read = ChangeDirections::load(&file).unwrap();
    for other in [again, read] {
        let values = |d: &ChangeDirections| d.scaled.to_vec2::<f32>().unwrap();
        assert_eq!(values(&other), values(&fitted));
    }
    std::fs::write(&file, b"nothing").unwrap();
    assert!(ChangeDirections::load(&file).is_err());
}

#[test]
fn too_few_changes_are_refused() {
    let error = ChangeDirections::fit(&changes(50), 4, 1).unwrap_err();
    assert!(error.to_string().contains("50 changes"), "{error}");
}
