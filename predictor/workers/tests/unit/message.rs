//! Unit tests of `src/message.rs`.

use super::*;

#[test]
fn contexts_come_back_as_they_were() {
    let (latent, goal, weights) = ([1.0, -0.0, f32::MIN_POSITIVE], [3.0, 4.0, 5.5], [0.0; 3]);
    for weights in [None, Some(&weights[..])] {
        let (header, payload) = context_message(&latent, &goal, weights);
        let read = Context::read(&header, &payload).expect("what was written");
        assert_eq!((&read.latent[..], &read.goal[..]), (&latent[..], &goal[..]));
        assert_eq!(read.weights.as_deref(), weights);
        // A byte lost or changed on the way is no other context.
        assert!(Context::read(&header, &payload[1..]).is_none());
        let mut changed = payload.clone();
        changed[5] ^= 1;
        assert!(Context::read(&header, &changed).is_none());
        let huge = ContextHeader {
            size: usize::MAX,
            ..header
        };
        assert!(Context::read(&huge, &payload).is_none());
    }
}

#[test]
fn candidates_come_back_bit_for_bit() {
    let mut sequences = ActionSequences::zeros(3, 2);
    for sample in 0..3 {
        for step in 0..2 {
            let action = sequences.action_mut(sample, step);
            action[0] = 0.1 + sample as f32 / 3.0;
            action[6] = step as f32 / 7.0;
        }
    }
    for (extrinsics, steps) in [(None, None), (Some([0.1; 6]), Some(vec![0.3, 0.7]))] {
        let candidates = Candidates {
            pose: Pose::from_array([0.1, 0.2, 0.3, 3.1, 1e-9, -1e-17, 1.0 / 3.0]),
            extrinsics,
            steps,
            sequences: sequences.clone(),
        };
        let mut header = EnergiesHeader {
            context: String::new(),
            samples: 3,
            horizon: 2,
            depth: 1,
            extrinsics: candidates.extrinsics.is_some(),
            along: candidates.steps.is_some(),
        };
        let payload = candidates.payload();
        assert_eq!(Candidates::read(&header, &payload), Some(candidates));
        header.samples = 4;
        assert_eq!(Candidates::read(&header, &payload), None);
        header.horizon = usize::MAX;
        assert_eq!(Candidates::read(&header, &payload), None);
        assert_eq!(Candidates::read(&header, &payload[..20]), None);
    }
}
