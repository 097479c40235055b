//! Imagined latents as the nearest recorded frames: a predictor has no decoder.

use foresight_datasets::{EpisodeStore, View};
use image::RgbImage;
use rayon::prelude::*;

use super::displacement::Kind;
use super::track::{l1, Foresees, Track};
use crate::error::{RunError, RunResult};

/// Steps ahead that are shown.
const SHOWN: [usize; 4] = [1, 2, 4, 8];

/// One imagination beside what came.
#[derive(Debug, Clone)]
pub struct Example {
    /// What happens in its first step; `None` without labels.
    pub kind: Option<Kind>,
    /// The episode.
    pub episode: String,
    /// The state it begins with.
    pub start: usize,
    /// That state's frame.
    pub from: RgbImage,
    /// What came and what was imagined.
    pub moments: Vec<Moment>,
}

/// One moment of it.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Steps ahead.
    pub steps_ahead: usize,
    /// The frame that came.
    pub truth: RgbImage,
    /// The recorded frame whose latent is nearest to the imagined one.
    pub imagined: RgbImage,
}

/// Examples of every kind (without labels, of anything), spread over the episodes that have one. The
/// frames to recognise imaginations by are those of the first tracks.
pub(super) fn examples(
    predictor: &impl Foresees,
    [(known, known_store), (tracks, store)]: [(&[Track], &dyn EpisodeStore); 2],
    of_each: usize,
) -> RunResult<Vec<Example>> {
    let labelled = tracks.iter().any(|track| !track.objects.is_empty());
    let kinds = if labelled {
        Kind::ALL.map(Some).to_vec()
    } else {
        vec![None]
    };
    let mut examples = Vec::new();
    for kind in kinds {
        let long = tracks.iter().filter(|track| track.branch.is_none());
        let starts: Vec<(&Track, usize)> = long
            .filter_map(|track| {
                let start = (0..track.len() - 1).find(|start| {
                    let kind_here = track.objects.get(*start..start + 2).and_then(Kind::of);
                    kind.is_none() || kind_here == kind
                })?;
                Some((track, start))
            })
            .collect();
        for i in 0..of_each.min(starts.len()) {
            let (track, start) = starts[i * starts.len() / of_each.min(starts.len())];
            let steps = SHOWN[SHOWN.len() - 1].min(track.len() - 1 - start);
            let imagined = predictor.ahead(track, start, steps)?;
            let moments = SHOWN
                .into_iter()
                .filter(|steps_ahead| *steps_ahead <= steps);
            let moments = moments.map(|steps_ahead| {
                Ok(Moment {
                    steps_ahead,
                    truth: frame(store, track, start + steps_ahead)?,
                    imagined: nearest(known, known_store, &imagined[steps_ahead - 1])?,
                })
            });
            examples.push(Example {
                kind,
                episode: store.episodes()[track.episode].path.clone(),
                start,
                from: frame(store, track, start)?,
                moments: moments.collect::<RunResult<_>>()?,
            });
        }
    }
    Ok(examples)
}

fn nearest(known: &[Track], store: &dyn EpisodeStore, latent: &[f32]) -> RunResult<RgbImage> {
    let all = known.par_iter().flat_map_iter(|track| {
        let of = move |at: usize| (l1(&track.latents[at], latent), track, at);
        (0..track.len()).map(of)
    });
    let best = all.min_by(|a, b| a.0.total_cmp(&b.0));
    let (_, track, at) = best.ok_or_else(|| RunError::Input("there is no frame".into()))?;
    frame(store, track, at)
}

fn frame(store: &dyn EpisodeStore, track: &Track, at: usize) -> RunResult<RgbImage> {
    let number = [track.numbers[at]];
    let frames = store.frames(track.episode, &View::default(), &number);
    let frames = frames.map_err(|e| RunError::Input(e.to_string()))?;
    let image = frames.images().next();
    image.ok_or_else(|| RunError::Input(format!("frame {at} can't be read")))
}
