//! Energies that several places compute are one place's, whoever fails.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use foresight_planner::{ActionSequences, Pose};
use foresight_predictor::goal_distance::{GoalDistance, GoalWeighting, GoalWeights};
use foresight_predictor::rollout::RolloutStart;
use foresight_predictor::{ComputeDevice, Precision, WorldModel};
use foresight_robot::link::{open, LinkConfig};
use foresight_workers::{Team, Worker, WorkersError};
use zenoh::Session;

const HASH: &str = "0123456789abcdef";

fn model() -> WorldModel {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/tabletop");
    WorldModel::load_on(&folder, ComputeDevice::Cpu, Precision::F32).expect("the bundled model")
}

fn free_endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("tcp/{}", listener.local_addr().expect("its address"))
}

/// A worker in this process, with a session of its own.
fn worker(model: &Arc<WorldModel>, endpoint: &str, hash: &str) -> (Session, Worker) {
    let session = open(&LinkConfig {
        listen: vec![endpoint.to_owned()],
        ..LinkConfig::default()
    });
    let session = session.expect("a session");
    let worker = Worker::start(&session, Arc::clone(model), hash.to_owned());
    (session, worker.expect("a worker"))
}

fn link(endpoints: &[String]) -> LinkConfig {
    LinkConfig {
        connect: endpoints.to_vec(),
        ..LinkConfig::default()
    }
}

/// Candidates that all differ.
fn candidates(samples: usize, horizon: usize) -> ActionSequences {
    let mut sequences = ActionSequences::zeros(samples, horizon);
    for sample in 0..samples {
        for step in 0..horizon {
            for (i, v) in sequences.action_mut(sample, step).iter_mut().enumerate() {
                *v = ((sample * 13 + step * 5 + i) as f32).sin() * 0.05;
            }
        }
    }
    sequences
}

#[test]
fn shared_energies_are_one_machines_bit_for_bit_and_outlive_a_worker() {
    let model = Arc::new(model());
    let endpoints = [free_endpoint(), free_endpoint()];
    let mut workers: Vec<_> = endpoints.iter().map(|e| worker(&model, e, HASH)).collect();
    let team = Team::find(&link(&endpoints), "tabletop", HASH).expect("two workers");
    let team = Arc::new(team);
    assert_eq!(team.workers().len(), 2);
    let shared = team
        .share(WorldModel::clone(&model))
        .expect("a shared model");

    let [tokens, width] = model.latent_shape();
    let latent: Vec<f32> = (0..tokens * width)
        .map(|i| (i as f32 * 0.37).sin())
        .collect();
    let goal: Vec<f32> = (0..tokens * width)
        .map(|i| (i as f32 * 0.11).cos())
        .collect();
    let change = vec![0.5; goal.len()];
    let weighting = GoalWeighting::residual(2.0).expect("a power");
    let weights = GoalWeights::measure(&latent, &goal, &change, weighting);
    let along = [0.6, 0.4];
    let start = RolloutStart {
        latent: &latent,
        pose: Pose::from_array([0.5, 0.1, 0.2, 3.1, 0.01, -0.02, 1.0 / 3.0]),
        extrinsics: None,
    };
    let depth = model.predictor().config().depth;
    let sequences = candidates(61, 2);
    let decide = |decision: usize| {
        let distance = match decision % 3 {
            0 => GoalDistance::plain(&goal),
            1 => GoalDistance::weighed(&goal, &weights),
            _ => GoalDistance::weighed(&goal, &weights).along(&along),
        };
        let budget = model.budget();
        let [here, there] = [&*model, &shared].map(|model| {
            let energies = model
                .predictor()
                .energies(&start, &sequences, depth, &distance, budget);
            energies.expect("energies")
        });
        assert_eq!(here, there, "decision {decision}");
    };
    (0..6).for_each(decide);
    let before = team.traffic();
    assert!(
        before.requests >= 6 && before.sent > 0 && before.received > 0,
        "{before:?}"
    );
    assert_eq!(before.lost, 0);

    // One dies: every decision is still made, and none is another.
    drop(workers.remove(0));
    (6..12).for_each(decide);
    let after = team.traffic();
    assert!(after.lost >= 1, "{after:?}");
    assert!(after.requests > before.requests, "{after:?}");
    // So does the other.
    workers.clear();
    (12..15).for_each(decide);
}

#[test]
fn a_worker_with_another_model_is_refused_by_name_and_silence_is_told() {
    let model = Arc::new(model());
    let endpoint = free_endpoint();
    let nobody = Team::find(&link(std::slice::from_ref(&endpoint)), "tabletop", HASH);
    let words = nobody.expect_err("nobody is there").to_string();
    assert!(
        words.contains(&endpoint) && words.contains("foresight serve"),
        "{words}"
    );

    let (_session, _worker) = worker(&model, &endpoint, "another");
    let refused = Team::find(&link(&[endpoint]), "mine", HASH).expect_err("another model");
    assert!(
        matches!(refused, WorkersError::OtherModel { .. }),
        "{refused}"
    );
    let words = refused.to_string();
    for part in ["tabletop", "another", "mine", HASH] {
        assert!(words.contains(part), "{words}");
    }
}
