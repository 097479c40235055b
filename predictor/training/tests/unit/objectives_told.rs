//! What the answers that latents must tell are.

use super::*;

#[test]
fn a_square_s_change_counts_by_how_much_it_changes_in_the_batch() {
    // One picture of 8×4 px a channel; the left square turns bright in the second picture of each clip.
    let picture = |left: f32| -> Vec<f32> {
        let line = [[left; 4], [0.5; 4]].concat();
        line.repeat(3 * 4)
    };
    let clips: Vec<Vec<f32>> = [0.2, 0.4]
        .map(|bright| [picture(0.0), picture(bright), picture(0.0)].concat())
        .into();
    let told = changes(&clips, [4, 8]).unwrap();
    assert_eq!(told.dims(), [2, 2, 6]);
    let told: Vec<f32> = told.flatten_all().unwrap().to_vec1().unwrap();
    let (still, turned): (Vec<f32>, Vec<f32>) = (
        told.iter().copied().skip(1).step_by(2).collect(),
        told.iter().copied().step_by(2).collect(),
    );
    assert!(still.iter().all(|v| *v == 0.0), "{still:?}");
    // A mean square of 1 over the batch, twice as bright twice as much, and back to nothing.
    let square: f32 = turned.iter().map(|v| v * v).sum::<f32>() / turned.len() as f32;
    assert!((square - 1.0).abs() < 1e-5, "{turned:?}");
    assert!((turned[6] / turned[0] - 2.0).abs() < 1e-5, "{turned:?}");
    assert!(turned[3..6].iter().all(|v| *v == 0.0), "{turned:?}");
}

#[test]
fn places_and_closedness_are_told_from_the_batch_s_mean_on_and_angles_are_not() {
    let config: CompactConfig = serde_json::from_value(serde_json::json!({
        "side_px": 8, "latent_dim": 2, "projector_hidden": 2, "history": 1,
        "eyes": { "kind": "convolutional", "channels": [2] },
        "actions": ["x", "rz", "gripper"], "action_scale": [0.5, 1.0, 0.25],
        "action_width": 2, "action_hidden": 2, "depth": 1, "heads": 1, "head_dim": 2, "mlp_hidden": 2,
    }))
    .unwrap();
    let [now, then] = [
        [0.5, 9.0, 9.0, 0.0, 0.0, 3.0, 0.0],
        [1.5, 9.0, 9.0, 0.0, 0.0, -3.0, 1.0],
    ];
    let told = poses(&config, [&now, &then].into_iter(), [1, 2]).unwrap();
    assert_eq!(told.dims(), [1, 2, 2]);
    let told: Vec<f32> = told.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(told, [-1.0, -2.0, 1.0, 2.0]);
}
