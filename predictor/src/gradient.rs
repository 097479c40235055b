//! Energies with derivatives, through candle's predictor: what gradient refinement descends.

use candle_core::{Result, Tensor, Var};
use foresight_planner::{ActionSequences, Gradients, Pose};

use crate::ac_predictor::AcPredictor;
use crate::encoder::normalise_latent;
use crate::goal_distance::GoalDistance;
use crate::rollout::RolloutStart;

/// Energy of every sequence and its derivative by every component of every action, on the
/// predictor's device, in f32. Derivatives through later states take position and gripper as sums;
/// that a rotation turns the next state's angles is left out.
///
/// # Errors
/// When candle fails, which is a matter of memory.
pub(crate) fn gradients(
    predictor: &AcPredictor,
    start: &RolloutStart,
    sequences: &ActionSequences,
    distance: &GoalDistance,
) -> Result<Gradients> {
    let config = predictor.config();
    let (n, d) = (config.tokens_per_frame(), config.embed_dim);
    let (samples, horizon) = (sequences.samples(), sequences.horizon());
    let device = predictor.device();
    let actions = Var::from_slice(sequences.values(), (samples, horizon, 7), device)?;
    let mut latents =
        Tensor::from_slice(start.latent, (1, n, d), device)?.repeat((samples, 1, 1))?;
    let pose = config.state_input(start.pose.to_array().map(|v| v as f32));
    let mut states = Tensor::from_slice(&pose, (1, 1, 7), device)?.repeat((samples, 1, 1))?;
    let mut poses = vec![start.pose; samples];
    let camera = match &start.extrinsics {
        Some(camera) => Some(Tensor::from_slice(camera, (1, 1, 6), device)?),
        None => None,
    };
    for step in 0..horizon {
        let history = step + 1;
        let cameras = match &camera {
            Some(camera) => Some(camera.repeat((samples, history, 1))?),
            None => None,
        };
        let so_far = actions.narrow(1, 0, history)?;
        let out = predictor.forward(&latents, &so_far, &states, cameras.as_ref())?;
        let next = normalise_latent(&out.narrow(1, step * n, n)?)?;
        latents = Tensor::cat(&[&latents, &next], 1)?;
        if history < horizon {
            let state = next_states(predictor, &actions, &states, &mut poses, sequences, step)?;
            states = Tensor::cat(&[&states, &state], 1)?;
        }
    }
    let last = latents.narrow(1, horizon * n, n)?;
    let energies = distance.on(device, (1, n, d))?.of(&last)?;
    let derivatives = energies.sum_all()?.backward()?;
    let values = match derivatives.get(&actions) {
        Some(derivative) => derivative.flatten_all()?.to_vec1()?,
        None => vec![0.0; samples * horizon * 7],
    };
    Ok(Gradients {
        energies: energies.to_vec1()?,
        values,
    })
}

/// States `[S, 1, 7]` after step `step`: values as `compute_new_pose` has them, derivatives as
/// described at [`gradients`].
fn next_states(
    predictor: &AcPredictor,
    actions: &Tensor,
    states: &Tensor,
    poses: &mut [Pose],
    sequences: &ActionSequences,
    step: usize,
) -> Result<Tensor> {
    let mut angles: Vec<f32> = Vec::with_capacity(poses.len() * 3);
    for (sample, pose) in poses.iter_mut().enumerate() {
        *pose = pose.apply(&sequences.action_at(sample, step));
        let state = pose.to_array().map(|v| v as f32);
        angles.extend(&predictor.config().state_input(state)[3..6]);
    }
    let angles = Tensor::from_vec(angles, (poses.len(), 1, 3), actions.device())?;
    let (action, state) = (actions.narrow(1, step, 1)?, states.narrow(1, step, 1)?);
    let position = (state.narrow(2, 0, 3)? + action.narrow(2, 0, 3)?)?;
    let gripper = (state.narrow(2, 6, 1)? + action.narrow(2, 6, 1)?)?.clamp(0f32, 1f32)?;
    Tensor::cat(&[&position, &angles, &gripper], 2)
}
