//! Demonstrations with a sentence, cut into stages: what a goal head learns from.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{bail, Context, Result};
use foresight_datasets::{EpisodeStore, Subset, View};
use foresight_predictor::goal_head::sentence::{understand, Understood, COLOURS};
use foresight_predictor::goal_head::{words, STAGES};
use foresight_predictor::WorldModel;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::stage_cuts::cut;

/// A demonstration.
pub(crate) struct Demonstration {
    /// What it was said to be.
    pub(crate) sentence: String,
    /// What its sentence names.
    understood: Understood,
    /// What is on the table, by name, objects and discs; nothing where nobody says.
    there: Option<[Vec<String>; 2]>,
    /// Poses, one a frame.
    pub(crate) states: Vec<[f64; 7]>,
    /// Normalised latents, N·D a frame.
    latents: Vec<f32>,
    /// The frames that end its stages.
    pub(crate) cuts: [usize; STAGES],
}

impl Demonstration {
    /// A frame's latent.
    pub(crate) fn latent(&self, frame: usize) -> &[f32] {
        let size = self.latents.len() / self.states.len();
        &self.latents[frame * size..(frame + 1) * size]
    }

    /// A frame from which a stage may begin.
    pub(crate) fn begins(&self, stage: usize, rng: &mut ChaCha8Rng) -> usize {
        let from = stage.checked_sub(1).map_or(0, |before| self.cuts[before]);
        // A stage begins where the one before it ended, more often than not; from anywhere before it the
        // whole task has to be foreseen.
        match rng.random_range(0..4) {
            0 => rng.random_range(0..self.cuts[stage]),
            1 => rng.random_range(from..self.cuts[stage]),
            _ => from,
        }
    }
}

/// The demonstrations of some episodes, and how many were left out because they have no sentence, or
/// nothing is taken and put down elsewhere in them.
pub(crate) struct Said {
    /// Those that can be learned from.
    pub(crate) demonstrations: Vec<Demonstration>,
    /// Those left out.
    pub(crate) left_out: usize,
}

impl Said {
    /// Reads and encodes them.
    ///
    /// # Errors
    /// When an episode can't be read.
    pub(crate) fn read(subset: &Subset, view: &View, model: &WorldModel) -> Result<Self> {
        let left_out = AtomicUsize::new(0);
        let read = |number: usize| -> Result<Option<Demonstration>> {
            let path = &subset.episodes()[number].path;
            let demonstration = demonstration(subset, number, view, model);
            let demonstration = demonstration.with_context(|| path.clone())?;
            if demonstration.is_none() {
                left_out.fetch_add(1, Ordering::Relaxed);
            }
            Ok(demonstration)
        };
        let numbers = (0..subset.episodes().len()).into_par_iter();
        let read: Vec<Option<Demonstration>> = numbers.map(read).collect::<Result<_>>()?;
        Ok(Said {
            demonstrations: read.into_iter().flatten().collect(),
            left_out: left_out.into_inner(),
        })
    }

    /// All words of the sentences, sorted.
    pub(crate) fn vocabulary(&self) -> Vec<String> {
        let all = self.demonstrations.iter();
        let words: BTreeSet<String> = all.flat_map(|d| words(&d.sentence)).collect();
        words.into_iter().collect()
    }

    /// Words of the longest sentence.
    pub(crate) fn longest(&self) -> usize {
        let all = self.demonstrations.iter();
        all.map(|d| d.understood.words.len()).max().unwrap_or(0)
    }

    /// How many different sentences there are.
    pub(crate) fn sentences(&self) -> usize {
        let all = self.demonstrations.iter();
        all.map(|d| &d.sentence).collect::<BTreeSet<_>>().len()
    }
}

fn demonstration(
    subset: &Subset,
    number: usize,
    view: &View,
    model: &WorldModel,
) -> Result<Option<Demonstration>> {
    let entry = &subset.episodes()[number];
    let own = words(&entry.task);
    if own.len() < 2 || entry.success == Some(false) {
        return Ok(None);
    }
    let Ok(understood) = understand(&entry.task, &own, own.len()) else {
        return Ok(None);
    };
    let measured = subset.proprioception(number, view)?;
    let frames = measured.frames.min(measured.states.len());
    let states: Vec<[f64; 7]> = measured.states.iter().map(|s| s.to_array()).collect();
    let Some(cuts) = cut(&states[..frames]) else {
        return Ok(None);
    };
    let wanted: Vec<usize> = (0..=cuts[STAGES - 1]).collect();
    let pictures = subset.frames(number, view, &wanted)?;
    let images: Vec<_> = pictures.images().collect();
    let latents = model.encode(&images.iter().collect::<Vec<_>>())?;
    let named = subset.extras(number)?.metadata;
    let named = named.and_then(|m| m.foresight).and_then(|f| f.named);
    Ok(Some(Demonstration {
        sentence: entry.task.clone(),
        understood,
        there: named.map(|n| [n.objects, n.targets]),
        states: states[..wanted.len()].to_vec(),
        latents: latents.into_iter().flat_map(|l| l.values).collect(),
        cuts,
    }))
}

/// A sentence and whether its object and its disc are in view.
pub(crate) struct Claim {
    /// The sentence's words.
    pub(crate) words: Vec<String>,
    /// 1 where it is there, 0 where it isn't, −1 where nobody knows.
    pub(crate) there: [f32; 2],
}

/// Names of the things a dataset shows.
pub(crate) struct Names {
    objects: Vec<String>,
    colours: Vec<String>,
}

impl Names {
    pub(crate) fn of(said: &Said, vocabulary: &[String]) -> Self {
        let shown = said.demonstrations.iter().flat_map(|d| &d.there);
        let objects: BTreeSet<&String> = shown.flat_map(|[objects, _]| objects).collect();
        let colours = COLOURS
            .iter()
            .filter(|c| vocabulary.iter().any(|w| w == **c));
        Names {
            objects: objects.into_iter().cloned().collect(),
            colours: colours.map(|c| (*c).to_owned()).collect(),
        }
    }

    /// A claim about a demonstration that isn't true: of something that is not there, or, where
    /// nobody says what is there, the sentence of another demonstration.
    pub(crate) fn untrue(
        &self,
        of: &Demonstration,
        others: &[Demonstration],
        rng: &mut ChaCha8Rng,
    ) -> Option<Claim> {
        let mut words = of.understood.words.clone();
        let Some([objects, targets]) = &of.there else {
            let other = &others[rng.random_range(0..others.len())];
            return (other.sentence != of.sentence).then(|| Claim {
                words: other.understood.words.clone(),
                there: [0.0, -1.0],
            });
        };
        if rng.random_bool(0.5) {
            let part = of
                .understood
                .object
                .as_ref()
                .filter(|p| p.colour.is_some())?;
            let [colour_at, noun_at] = part.at;
            let absent = self.objects.iter().filter(|name| !objects.contains(name));
            let absent: Vec<&String> = absent.collect();
            let (colour, noun) = pick(&absent, rng)?.split_once(' ')?;
            // The other word for the same kind where the sentence had it.
            if part.kind != noun {
                words[noun_at] = noun.to_owned();
            }
            words[colour_at] = colour.to_owned();
            return Some(Claim {
                words,
                there: [0.0, 1.0],
            });
        }
        let part = of
            .understood
            .target
            .as_ref()
            .filter(|p| p.colour.is_some())?;
        let [colour_at, _] = part.at;
        let there = |colour: &str| targets.iter().any(|t| t.starts_with(colour));
        let absent: Vec<&String> = self.colours.iter().filter(|c| !there(c)).collect();
        words[colour_at] = pick(&absent, rng)?.to_owned();
        Some(Claim {
            words,
            there: [1.0, 0.0],
        })
    }
}

fn pick<'a>(from: &[&'a String], rng: &mut ChaCha8Rng) -> Option<&'a String> {
    match from.len() {
        0 => None,
        n => Some(from[rng.random_range(0..n)]),
    }
}

/// Nothing to learn from.
///
/// # Errors
/// Always but where there is something.
pub(crate) fn check(said: &Said, what: &str) -> Result<()> {
    if said.demonstrations.is_empty() {
        bail!(
            "no episode {what} has a sentence and takes something that it puts down elsewhere ({} have \
             not); record some with `foresight record` in a scenario with scene.objects and \
             scene.targets, or give a dataset with instructions",
            said.left_out
        );
    }
    Ok(())
}
