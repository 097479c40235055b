//! Unit tests of `src/elementwise.rs`.

use super::*;

#[test]
fn rotate_backward_is_the_transpose() {
    let cos: Vec<f32> = (0..6).map(|i| (i as f32).cos()).collect();
    let sin: Vec<f32> = (0..6).map(|i| (i as f32 * 1.3).sin()).collect();
    let x: Vec<f32> = (0..12).map(|i| (i as f32 * 0.7).sin()).collect();
    let g: Vec<f32> = (0..12).map(|i| (i as f32 * 0.4).cos()).collect();
    let (mut y, mut back) = (x.clone(), g.clone());
    rotate(&mut y, &cos, &sin);
    rotate_backward(&mut back, &cos, &sin);
    let forward: f32 = y.iter().zip(&g).map(|(a, b)| a * b).sum();
    let backward: f32 = x.iter().zip(&back).map(|(a, b)| a * b).sum();
    assert!((forward - backward).abs() < 1e-5);
}
