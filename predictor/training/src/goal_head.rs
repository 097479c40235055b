//! A goal head from demonstrations with sentences: which of what is seen a sentence means.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use foresight_datasets::View;
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::goal_head::network::{layout, Asked, FITS, PLACE};
use foresight_predictor::goal_head::{place_told, save, GoalHeadConfig, Stage, Training, STAGES};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::{PredictorError, WorldModel};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::episodes;
use crate::goal_trainer::{GoalBatch, GoalLosses, GoalTrainer};
use crate::optimisation::Optimisation;
use crate::run::{Outcome, Parts, TrainingTask};
use crate::said_demonstrations::{check, Demonstration, Names, Said};
use crate::schedule::WsdSchedule;
use crate::settings::Settings;
use crate::TrainState;

/// Depth and heads of the network; it is as wide as the encoder's tokens, up to a limit.
const DEPTH: usize = 4;
const HEADS: usize = 4;
const WIDEST: usize = 128;
/// Words that sentences may have beyond the longest learned from.
const SPARE_WORDS: usize = 4;
/// How often a moment's sentence is about something that isn't there.
const UNTRUE: f64 = 0.25;
/// Held-out moments the losses are computed on, and their seed.
const HELD_OUT: usize = 384;
const HELD_OUT_SEED: u64 = u64::MAX;
/// Share of true sentences about held-out views that may be refused, and the bounds of what follows.
const FALSE_REFUSALS: f64 = 0.02;
const LEAST_FIT: [f32; 2] = [0.1, 0.5];

/// How a goal head is trained.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GoalHeadOptions {
    /// Steps.
    pub steps: usize,
    /// Moments a step.
    pub batch: usize,
    /// Seed of the weights and of the order of moments.
    pub seed: u64,
    /// Learning rate.
    pub rate: f64,
}

impl Default for GoalHeadOptions {
    fn default() -> Self {
        GoalHeadOptions {
            steps: 1500,
            batch: 48,
            seed: 0,
            rate: 1e-3,
        }
    }
}

impl GoalHeadOptions {
    /// How the weights are moved.
    pub fn optimisation(&self) -> Optimisation {
        Optimisation {
            seed: self.seed,
            batch_size: self.batch,
            schedule: WsdSchedule {
                start: self.rate / 20.0,
                reference: self.rate,
                last: self.rate / 50.0,
                warmup_steps: self.steps / 20,
                anneal_steps: self.steps / 2,
                total_steps: self.steps,
            },
            weight_decay: 0.04,
            final_weight_decay: None,
            clip_norm: Some(1.0),
        }
    }
}

/// A goal head in training.
pub struct GoalHeadTask {
    trainer: GoalTrainer,
    options: GoalHeadOptions,
    training: Said,
    held_out: Said,
    names: Names,
}

impl GoalHeadTask {
    /// A head with random weights behind the encoder of a model folder, and the demonstrations it learns from.
    ///
    /// # Errors
    /// When model or recordings can't be used.
    pub fn new(
        options: &GoalHeadOptions,
        model: &Path,
        data: &Path,
        validation: Option<&Path>,
    ) -> Result<Self> {
        let settings = Settings::resolve(None, &[])?.data;
        let world = WorldModel::load(model).with_context(|| format!("{}", model.display()))?;
        let found = episodes::open(data, validation, &settings)?;
        let view = settings
            .views
            .first()
            .cloned()
            .unwrap_or_else(View::default);
        let training = Said::read(&found.training, &view, &world)?;
        let held_out = Said::read(&found.held_out, &view, &world)?;
        check(&training, "to train on")?;
        check(&held_out, "to validate on")?;
        let vocabulary = training.vocabulary();
        let names = Names::of(&training, &vocabulary);
        let encoder = &world.config().encoder;
        let width = encoder.embed_dim.min(WIDEST);
        let config = GoalHeadConfig {
            network: GoalHeadConfig::network(encoder, [width, DEPTH, HEADS]),
            most_words: training.longest() + SPARE_WORDS,
            vocabulary,
            stages: Stage::pick_and_place(steps(&training.demonstrations)),
            least_fit: [LEAST_FIT[1]; 2],
            training: Training::default(),
        };
        let mut parameters = Parameters::zeros(layout(&config));
        initialise(&mut parameters, Part::AcPredictor, options.seed);
        Ok(GoalHeadTask {
            trainer: GoalTrainer::new(config, parameters),
            options: options.clone(),
            training,
            held_out,
            names,
        })
    }

    /// What it learns from, in one line.
    pub fn describe(&self) -> String {
        let of = |said: &Said| {
            format!(
                "{} demonstrations ({} left out), {} sentences",
                said.demonstrations.len(),
                said.left_out,
                said.sentences()
            )
        };
        format!(
            "{}; held out: {}; {} words, {} parameters",
            of(&self.training),
            of(&self.held_out),
            self.trainer.config.vocabulary.len(),
            self.trainer.config.parameters()
        )
    }

    /// Writes the head into the folder of its model; how it was trained.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, folder: &Path, outcome: &Outcome, seconds: f64) -> Result<Training> {
        let losses = self.trainer.evaluate(&self.held_out_batch()?)?;
        let training = Training {
            episodes: [
                self.training.demonstrations.len(),
                self.held_out.demonstrations.len(),
            ],
            sentences: [self.training.sentences(), self.held_out.sentences()],
            steps: outcome.steps,
            seconds,
            goal_l1: [losses.goal, losses.standing],
            place_m: losses.place_m,
        };
        let config = GoalHeadConfig {
            least_fit: self.least_fit()?,
            training: training.clone(),
            ..self.trainer.config.clone()
        };
        let tensors = self.trainer.state.parameters()?.to_tensors()?;
        save(folder, &config, &tensors)?;
        Ok(training)
    }

    /// Probabilities that few true sentences fall short of.
    fn least_fit(&self) -> Result<[f32; 2]> {
        let mut rng = ChaCha8Rng::seed_from_u64(HELD_OUT_SEED);
        let demonstrations = &self.held_out.demonstrations;
        let moments: Vec<SaidMoment<'_>> = demonstrations
            .iter()
            .filter_map(|d| self.moment(d, 0, false, demonstrations, &mut rng))
            .collect();
        let mut fits: [Vec<f32>; FITS] = Default::default();
        for part in moments.chunks(self.options.batch.max(1)) {
            let answered = self.trainer.answer(&self.batch(part)?.asked)?;
            for row in answered.fit.to_vec2::<f32>()? {
                for (fits, logit) in fits.iter_mut().zip(row) {
                    fits.push(1.0 / (1.0 + (-logit).exp()));
                }
            }
        }
        Ok(fits.map(|mut fits| {
            fits.sort_by(f32::total_cmp);
            let at = (fits.len() as f64 * FALSE_REFUSALS) as usize;
            let [least, most] = LEAST_FIT;
            fits.get(at).map_or(most, |fit| fit.clamp(least, most))
        }))
    }

    fn held_out_batch(&self) -> Result<GoalBatch, PredictorError> {
        self.drawn(&self.held_out, HELD_OUT, HELD_OUT_SEED)
    }

    /// So many moments, drawn by a seed.
    fn drawn(&self, from: &Said, count: usize, seed: u64) -> Result<GoalBatch, PredictorError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.options.seed);
        rng.set_stream(seed);
        let all = &from.demonstrations;
        let mut moments = Vec::with_capacity(count);
        // What can't be made untrue is drawn anew.
        for _ in 0..4 * count {
            let of = &all[rng.random_range(0..all.len())];
            let untrue = rng.random_bool(UNTRUE);
            let stage = if untrue {
                0
            } else {
                rng.random_range(0..STAGES)
            };
            moments.extend(self.moment(of, stage, untrue, all, &mut rng));
            if moments.len() == count {
                break;
            }
        }
        Ok(self.batch(&moments)?)
    }

    fn moment<'a>(
        &self,
        of: &'a Demonstration,
        stage: usize,
        untrue: bool,
        all: &'a [Demonstration],
        rng: &mut ChaCha8Rng,
    ) -> Option<SaidMoment<'a>> {
        let config = &self.trainer.config;
        let (said, there) = match untrue {
            true => {
                let claim = self.names.untrue(of, all, rng)?;
                (claim.words, claim.there)
            }
            false => (
                foresight_predictor::goal_head::words(&of.sentence),
                [1.0; FITS],
            ),
        };
        let words = config.numbers(&said).ok()?;
        Some(SaidMoment {
            of,
            frame: of.begins(stage, rng),
            stage,
            words,
            there,
            untrue,
        })
    }

    fn batch(&self, moments: &[SaidMoment<'_>]) -> candle_core::Result<GoalBatch> {
        let network = &self.trainer.config.network;
        let b = moments.len();
        let shape = (b, network.tokens_per_frame(), network.embed_dim);
        let floats =
            |values: Vec<f32>, width: usize| Tensor::from_vec(values, (b, width), &Device::Cpu);
        let frames = |frame: &dyn Fn(&SaidMoment<'_>) -> usize| {
            let latents = moments
                .iter()
                .flat_map(|m| m.of.latent(frame(m)).iter().copied());
            Tensor::from_vec(latents.collect::<Vec<f32>>(), shape, &Device::Cpu)
        };
        let end = |m: &SaidMoment<'_>| m.of.cuts[m.stage];
        let state =
            |m: &SaidMoment<'_>| network.state_input(m.of.states[m.frame].map(|v| v as f32));
        let place = |m: &SaidMoment<'_>| {
            let [x, y, z, ..] = m.of.states[end(m)];
            place_told([x, y, z])
        };
        let words: Vec<u32> = moments.iter().flat_map(|m| m.words.clone()).collect();
        let stages: Vec<u32> = moments.iter().map(|m| m.stage as u32).collect();
        let known = |there: f32| if there < 0.0 { 0.0 } else { 1.0 };
        let true_said = moments.iter().map(|m| f32::from(u8::from(!m.untrue)));
        let there = moments.iter().flat_map(|m| m.there);
        let there_or_not = there.clone();
        Ok(GoalBatch {
            asked: Asked {
                now: frames(&|m| m.frame)?,
                states: floats(moments.iter().flat_map(state).collect(), 7)?,
                words: Tensor::from_vec(words, (b, self.trainer.config.most_words), &Device::Cpu)?,
                stages: Tensor::from_vec(stages, b, &Device::Cpu)?,
            },
            goal: frames(&end)?,
            place: floats(moments.iter().flat_map(place).collect(), PLACE)?,
            true_said: Tensor::from_vec(true_said.collect::<Vec<f32>>(), b, &Device::Cpu)?,
            there: floats(there.map(|t| t.max(0.0)).collect(), FITS)?,
            known: floats(there_or_not.map(known).collect(), FITS)?,
        })
    }
}

/// A moment of a demonstration, and what is said of it.
struct SaidMoment<'a> {
    of: &'a Demonstration,
    frame: usize,
    stage: usize,
    words: Vec<u32>,
    there: [f32; FITS],
    untrue: bool,
}

impl TrainingTask for GoalHeadTask {
    fn state(&mut self) -> &mut TrainState {
        &mut self.trainer.state
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let batch = self.drawn(&self.training, self.options.batch, step as u64)?;
        Ok(parts(&self.trainer.compute_gradients(&batch)?))
    }

    fn validate(&mut self) -> Result<Parts, PredictorError> {
        let batch = self.held_out_batch()?;
        Ok(parts(&self.trainer.evaluate(&batch)?))
    }
}

fn parts(losses: &GoalLosses) -> Parts {
    vec![
        ("total", losses.total),
        ("goal", losses.goal),
        ("standing", losses.standing),
        ("place_m", losses.place_m),
        ("fit", losses.fit),
    ]
}

/// Actions that nine in ten demonstrations' stages get along with, and one more.
fn steps(demonstrations: &[Demonstration]) -> [u32; STAGES] {
    std::array::from_fn(|stage| {
        let from = |d: &Demonstration| stage.checked_sub(1).map_or(0, |before| d.cuts[before]);
        let lengths = demonstrations.iter().map(|d| d.cuts[stage] - from(d));
        let mut lengths: Vec<usize> = lengths.collect();
        lengths.sort_unstable();
        let usual = lengths.get(lengths.len() * 9 / 10).copied().unwrap_or(1);
        usual as u32 + 1
    })
}
