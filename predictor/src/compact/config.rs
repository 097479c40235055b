//! Architecture of a compact model, and names and shapes of its parameters.

use std::num::NonZeroUsize;

use foresight_planner::Component;
use serde::{Deserialize, Serialize};

use crate::config::{ActionSpace, EncoderConfig, ModelConfig, PredictorConfig, RopeVariant, Stem};
use crate::eyes::{self, Eyes};
use crate::layout::Entry;

/// What looks at the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CompactEyes {
    /// A few convolutions and points: minutes of training on a CPU.
    Convolutional {
        /// Channels of the layers: the first sees patches of 4×4 px, each that follows halves the grid.
        channels: Vec<usize>,
        /// Points of the picture whose coordinates are told beside that; 0 for none.
        #[serde(default)]
        points: usize,
    },
    /// LeWorldModel's vision transformer, as wide as the latent: its class token is what is seen.
    VisionTransformer {
        /// Side of a patch, px.
        patch_size: usize,
        /// Blocks.
        depth: usize,
        /// Attention heads.
        heads: usize,
        /// Hidden width of its MLPs.
        mlp_hidden: usize,
    },
}

/// Architecture of a compact model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompactConfig {
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// Side of the pictures, which are square, px.
    pub side_px: usize,
    /// Cameras, whose pictures stand side by side.
    #[serde(default = "one")]
    pub views: usize,
    /// What looks at them.
    pub eyes: CompactEyes,
    /// Width of the latent, `D`: one token a picture.
    pub latent_dim: usize,
    /// Hidden width of the two layers between eyes and latent, and of those after the predictor.
    pub projector_hidden: usize,
    /// Steps that a prediction looks back to, this one included.
    pub history: usize,
    /// Components of an action that the predictor is told; those it isn't told stay zero in a plan.
    pub actions: Vec<Component>,
    /// What each of those is divided by before it is told, m, rad and closedness.
    pub action_scale: Vec<f32>,
    /// Width of an action's first layer.
    pub action_width: usize,
    /// Hidden width of the layer after it.
    pub action_hidden: usize,
    /// Blocks of the predictor.
    pub depth: usize,
    /// Its attention heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Hidden width of its MLPs.
    pub mlp_hidden: usize,
    /// Whether the predictor's last layers tell how the latent changes, not what it becomes: not in the
    /// published model, and sooner learned.
    #[serde(default)]
    pub residual: bool,
    /// Time step and action bounds of the training data.
    #[serde(default)]
    pub action_space: ActionSpace,
}

impl CompactConfig {
    /// Sizes that divide and agree.
    ///
    /// # Errors
    /// A sentence naming the field and what it must be.
    pub fn validate(&self) -> Result<(), String> {
        for (field, value) in [
            ("views", self.views),
            ("latent_dim", self.latent_dim),
            ("projector_hidden", self.projector_hidden),
            ("history", self.history),
            ("action_width", self.action_width),
            ("action_hidden", self.action_hidden),
            ("depth", self.depth),
            ("heads", self.heads),
            ("head_dim", self.head_dim),
            ("mlp_hidden", self.mlp_hidden),
        ] {
            if value == 0 {
                return Err(format!("{field} must be at least 1"));
            }
        }
        if self.actions.is_empty() || self.actions.len() != self.action_scale.len() {
            return Err(
                "actions needs at least one component, and action_scale one number for each".into(),
            );
        }
        if !self.action_scale.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err("every number of action_scale must be above 0".into());
        }
        self.action_space.validate()?;
        match &self.eyes {
            CompactEyes::Convolutional { channels, points } => {
                self.eyes(channels, *points).check([self.side_px; 2])
            }
            CompactEyes::VisionTransformer {
                patch_size, heads, ..
            } => match (*patch_size, *heads) {
                (0, _) | (_, 0) => Err("eyes.patch_size and eyes.heads must be at least 1".into()),
                (patch, _) if !self.side_px.is_multiple_of(patch) => Err(format!(
                    "side_px is {}, no whole number of patches of {patch} px",
                    self.side_px
                )),
                (_, heads) if !self.latent_dim.is_multiple_of(heads) => Err(format!(
                    "a latent of {} can't be cut into {heads} heads",
                    self.latent_dim
                )),
                _ => Ok(()),
            },
        }
    }

    /// Height and width of what it sees at a time, px.
    pub fn frame_size(&self) -> [usize; 2] {
        [self.side_px, self.side_px * self.views]
    }

    pub(super) fn eyes<'a>(&self, channels: &'a [usize], points: usize) -> Eyes<'a> {
        let views = self.views;
        Eyes {
            channels,
            points,
            views,
        }
    }

    /// Numbers of an action that the predictor is told.
    pub fn told(&self, action: &[f32]) -> impl Iterator<Item = f32> + '_ {
        let values: Vec<f32> = self.actions.iter().map(|c| action[c.index()]).collect();
        values
            .into_iter()
            .zip(&self.action_scale)
            .map(|(v, s)| v / s)
    }

    /// Which of an action's numbers are no angles.
    pub fn without_angles(&self) -> Vec<usize> {
        let angle = |c: &Component| matches!(c, Component::Rx | Component::Ry | Component::Rz);
        let numbers = self.actions.iter().enumerate();
        let others = numbers.filter(|(_, component)| !angle(component));
        others.map(|(number, _)| number).collect()
    }

    /// Width inside the predictor's attention.
    pub(crate) fn attention_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// What the rest of the program knows of a model's encoder: one token for the whole picture.
    fn as_encoder(&self) -> EncoderConfig {
        let size = self.frame_size();
        EncoderConfig {
            img_size: size,
            patch_size: size[1],
            num_frames: 1,
            tubelet_size: 1,
            embed_dim: self.latent_dim,
            depth: 1,
            num_heads: 1,
            mlp_ratio: 4.0,
            rope: RopeVariant::default(),
            stem: Stem::default(),
            vjepa2_1: None,
            level: Default::default(),
            views: NonZeroUsize::new(self.views).filter(|views| views.get() > 1),
        }
    }

    /// And of its predictor.
    pub(crate) fn as_predictor(&self) -> PredictorConfig {
        let sizes = [self.latent_dim, self.depth, 1];
        PredictorConfig::behind(&self.as_encoder(), self.history, sizes)
    }

    /// And of both.
    pub(crate) fn as_model(&self) -> ModelConfig {
        ModelConfig {
            predictor: Some(self.as_predictor()),
            action_space: self.action_space.clone(),
            ..ModelConfig::of(&self.name, self.as_encoder())
        }
    }
}

fn one() -> usize {
    1
}

/// Names and shapes of a compact model's parameters.
pub fn layout(config: &CompactConfig) -> Vec<Entry> {
    let mut entries = Vec::new();
    let d = config.latent_dim;
    let mut linear = |name: &str, inputs: usize, outputs: usize| {
        entries.push((format!("{name}.weight"), vec![outputs, inputs]));
        entries.push((format!("{name}.bias"), vec![outputs]));
    };
    let mut norms = Vec::new();
    let features = match &config.eyes {
        CompactEyes::Convolutional { channels, points } => {
            let eyes = config.eyes(channels, *points);
            for (name, inputs, outputs) in eyes.layers() {
                linear(&name, inputs, outputs);
            }
            eyes.features(config.frame_size())
        }
        CompactEyes::VisionTransformer {
            patch_size,
            depth,
            mlp_hidden,
            ..
        } => {
            linear("eyes.patches", 3 * patch_size * patch_size, d);
            for i in 0..*depth {
                let block = format!("eyes.blocks.{i}");
                linear(&format!("{block}.qkv"), d, 3 * d);
                linear(&format!("{block}.out"), d, d);
                linear(&format!("{block}.fc1"), d, *mlp_hidden);
                linear(&format!("{block}.fc2"), *mlp_hidden, d);
                norms.push(format!("{block}.norm1"));
                norms.push(format!("{block}.norm2"));
            }
            norms.push("eyes.norm".into());
            d
        }
    };
    linear("projector.fc1", features, config.projector_hidden);
    linear("projector.fc2", config.projector_hidden, d);
    linear("action.first", config.actions.len(), config.action_width);
    linear("action.fc1", config.action_width, config.action_hidden);
    linear("action.fc2", config.action_hidden, d);
    let inner = config.attention_width();
    for i in 0..config.depth {
        let block = format!("blocks.{i}");
        linear(&format!("{block}.ada"), d, 6 * d);
        linear(&format!("{block}.qkv"), d, 3 * inner);
        linear(&format!("{block}.out"), inner, d);
        linear(&format!("{block}.fc1"), d, config.mlp_hidden);
        linear(&format!("{block}.fc2"), config.mlp_hidden, d);
        norms.push(format!("{block}.norm1"));
        norms.push(format!("{block}.norm2"));
    }
    norms.push("norm".into());
    linear("head.fc1", d, config.projector_hidden);
    linear("head.fc2", config.projector_hidden, d);
    for norm in norms {
        entries.push((format!("{norm}.weight"), vec![d]));
        entries.push((format!("{norm}.bias"), vec![d]));
    }
    entries.push(("pos_embed".into(), vec![config.history, d]));
    if let CompactEyes::VisionTransformer { patch_size, .. } = config.eyes {
        let patches = (config.side_px / patch_size).pow(2) * config.views;
        entries.push(("eyes.class_token".into(), vec![1, d]));
        entries.push(("eyes.pos_embed".into(), vec![patches + 1, d]));
    }
    entries
}

/// Standard deviation at which weights `[outputs, inputs]` are drawn; blocks begin as if they weren't
/// there (AdaLN-zero).
pub fn initial_std(name: &str, inputs: usize) -> f32 {
    match name.split('.').nth(2) {
        Some("ada") => 0.0,
        _ => eyes::initial_std(name, inputs),
    }
}
