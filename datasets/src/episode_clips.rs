//! Clips by number out of any dataset's episodes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use foresight_planner::Pose;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::clip_source::{ClipOptions, ClipSource, ClipWindow};
use crate::error::DatasetError;
use crate::frames::FrameStack;
use crate::index::{CameraEntry, IndexEntry};
use crate::pairing;
use crate::sampling::{self, Sampling};
use crate::set::Unusable;
use crate::store::{EpisodeStore, Track};
use crate::view::View;

/// Clips drawn from a dataset's episodes.
pub struct EpisodeClips {
    store: Box<dyn EpisodeStore>,
    options: ClipOptions,
    /// Indices into the store.
    usable: Vec<usize>,
    skipped: Vec<(String, String)>,
    /// Orders of the epochs last asked for.
    orders: Mutex<HashMap<u64, Arc<Vec<u32>>>>,
}

impl EpisodeClips {
    /// Clips of a dataset.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] for impossible options; the first unusable episode's error
    /// unless they are skipped; [`DatasetError::Empty`] when none is left.
    pub fn new(store: Box<dyn EpisodeStore>, options: ClipOptions) -> Result<Self, DatasetError> {
        options.shape.check().map_err(DatasetError::Mismatch)?;
        if options.views.is_empty() {
            return Err(DatasetError::Mismatch(
                "no camera is chosen: name at least one view, e.g. \"left\"".to_owned(),
            ));
        }
        if !(options.assumed_rate_hz.is_finite() && options.assumed_rate_hz > 0.0) {
            return Err(DatasetError::Mismatch(format!(
                "assumed_rate_hz = {} must be a number above 0",
                options.assumed_rate_hz
            )));
        }
        let mut usable = Vec::new();
        let mut skipped = store.unusable().to_vec();
        for (episode, entry) in store.episodes().iter().enumerate() {
            let fault = options.views.iter().find_map(|view| {
                let camera = match entry.camera(view) {
                    Ok(camera) => camera,
                    Err(reason) => return Some(reason),
                };
                pairing::check(camera.frames, entry.length, options.frame_tolerance)
                    .err()
                    .or_else(|| too_short(entry, camera, &options))
            });
            match fault {
                None => usable.push(episode),
                Some(reason) => skipped.push((entry.path.clone(), reason)),
            }
        }
        if let (Unusable::Refuse, Some((path, reason))) = (options.unusable, skipped.first()) {
            return Err(DatasetError::Episode {
                path: path.into(),
                reason: format!(
                    "{reason} ({} of {} episodes are unusable; `unusable = \"skip\"` leaves them \
                     out and lists them)",
                    skipped.len(),
                    skipped.len() + usable.len()
                ),
            });
        }
        if usable.is_empty() {
            let first = skipped.first().map_or("the dataset is empty", |(_, r)| r);
            return Err(DatasetError::Mismatch(format!(
                "no episode can give clips; the first of {}: {first}",
                skipped.len()
            )));
        }
        Ok(EpisodeClips {
            store,
            options,
            usable,
            skipped,
            orders: Mutex::default(),
        })
    }

    /// Episodes that are left out, with reasons.
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }

    /// Episodes of whose cameras some frame or state is not used because there are more of one
    /// than of the other, with what it is.
    pub fn uneven(&self) -> Vec<(String, String)> {
        let entries = self.usable.iter().map(|at| &self.store.episodes()[*at]);
        entries
            .flat_map(|entry| {
                let views = self.options.views.iter();
                views.filter_map(|view| Some((entry.path.clone(), entry.uneven_view(view)?)))
            })
            .collect()
    }

    /// How clips are drawn.
    pub fn options(&self) -> &ClipOptions {
        &self.options
    }

    /// The dataset.
    pub fn store(&self) -> &dyn EpisodeStore {
        self.store.as_ref()
    }

    /// The order of an epoch's episodes.
    fn order(&self, epoch: u64) -> Arc<Vec<u32>> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        // Prefetching reaches into the next epoch, not further.
        orders.retain(|known, _| known.abs_diff(epoch) <= 1);
        let order = orders.entry(epoch).or_insert_with(|| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.options.seed ^ ORDER);
            rng.set_stream(epoch);
            let mut order: Vec<u32> = (0..self.usable.len() as u32).collect();
            order.shuffle(&mut rng);
            Arc::new(order)
        });
        Arc::clone(order)
    }

    fn track(&self, episode: usize, view: &View) -> Result<Track, DatasetError> {
        let Some(&at) = self.usable.get(episode) else {
            return Err(DatasetError::Mismatch(format!(
                "there is no episode {episode}; there are {}",
                self.usable.len()
            )));
        };
        let mut track = self.store.track(at, view)?;
        if track.time_s.is_empty() {
            let rate = self.options.assumed_rate_hz;
            track.time_s = (0..track.states.len()).map(|i| i as f64 / rate).collect();
        }
        let shared = track.frames.min(track.states.len());
        track.time_s.truncate(shared);
        Ok(track)
    }

    fn starts_of(&self, track: &Track) -> Vec<usize> {
        let shape = &self.options.shape;
        match shape.sampling {
            Sampling::RealTime => sampling::starts_by_time(&track.time_s, shape),
            Sampling::Legacy => {
                sampling::legacy_starts(track.time_s.len(), track.file_fps, shape).collect()
            }
        }
    }

    fn cut(
        &self,
        episode: usize,
        view: &View,
        track: &Track,
        start: usize,
    ) -> Result<ClipWindow, DatasetError> {
        let shape = &self.options.shape;
        let path = self.name(episode).to_owned();
        let numbers = match shape.sampling {
            Sampling::RealTime => {
                let tolerance = sampling::tolerance_s(&track.time_s);
                sampling::by_time(&track.time_s, start, shape, tolerance)
            }
            Sampling::Legacy => Some(sampling::legacy(start, track.file_fps, shape)),
        };
        let inside = |n: &Vec<usize>| n.iter().all(|i| *i < track.time_s.len());
        let numbers = numbers.filter(inside).ok_or_else(|| {
            DatasetError::episode(
                path.as_ref(),
                format!("no clip of {} frames starts at frame {start}", shape.frames),
            )
        })?;
        let kept: Vec<usize> = numbers.iter().copied().step_by(shape.tubelet).collect();
        let extrinsics: Option<Vec<[f64; 6]>> = track
            .extrinsics
            .as_ref()
            .map(|rows| kept.iter().map(|i| rows[*i]).collect());
        let mut states: Vec<Pose> = kept.iter().map(|i| track.states[*i]).collect();
        if self.options.transform_frame {
            let Some(cameras) = &extrinsics else {
                return Err(DatasetError::episode(
                    path.as_ref(),
                    format!(
                        "its states can't be expressed in the frame of camera {view}: it has no \
                         observation/camera_extrinsics of it; set transform_frame = false"
                    ),
                ));
            };
            for (state, camera) in states.iter_mut().zip(cameras) {
                *state = state.seen_from(*camera);
            }
        }
        Ok(ClipWindow {
            episode,
            path,
            view: view.clone(),
            frame_numbers: numbers,
            actions: states
                .windows(2)
                .map(|pair| pair[0].action_to(&pair[1]).to_array())
                .collect(),
            states: states.iter().map(Pose::to_array).collect(),
            extrinsics,
        })
    }
}

impl ClipSource for EpisodeClips {
    fn episodes(&self) -> usize {
        self.usable.len()
    }

    fn name(&self, episode: usize) -> &str {
        self.usable
            .get(episode)
            .map_or("", |at| &self.store.episodes()[*at].path)
    }

    fn starts(&self, episode: usize, view: &View) -> Result<Vec<usize>, DatasetError> {
        Ok(self.starts_of(&self.track(episode, view)?))
    }

    fn window_at(
        &self,
        episode: usize,
        view: &View,
        start: usize,
    ) -> Result<ClipWindow, DatasetError> {
        let track = self.track(episode, view)?;
        self.cut(episode, view, &track, start)
    }

    fn window(&self, draw: u64) -> Result<ClipWindow, DatasetError> {
        let count = self.usable.len() as u64;
        let episode = self.order(draw / count)[(draw % count) as usize] as usize;
        let mut rng = ChaCha8Rng::seed_from_u64(self.options.seed);
        rng.set_stream(draw);
        let views = &self.options.views;
        let view = &views[rng.random_range(0..views.len())];
        let track = self.track(episode, view)?;
        let starts = self.starts_of(&track);
        if starts.is_empty() {
            return Err(DatasetError::episode(
                self.name(episode).as_ref(),
                format!(
                    "its recording has pauses, and no {} frames at {} a second lie between them",
                    self.options.shape.frames, self.options.shape.fps
                ),
            ));
        }
        let start = starts[rng.random_range(0..starts.len())];
        self.cut(episode, view, &track, start)
    }

    fn frames(&self, window: &ClipWindow) -> Result<FrameStack, DatasetError> {
        let Some(&at) = self.usable.get(window.episode) else {
            return Err(DatasetError::Mismatch(format!(
                "there is no episode {}; there are {}",
                window.episode,
                self.usable.len()
            )));
        };
        self.store.frames(at, &window.view, &window.frame_numbers)
    }
}

/// Keeps the epochs' orders apart from the draws' starts.
const ORDER: u64 = 0x6f72_6465_7200;

/// Why an episode is too short or too slow for such clips, as far as its index says.
fn too_short(entry: &IndexEntry, camera: &CameraEntry, options: &ClipOptions) -> Option<String> {
    let shape = &options.shape;
    let frames = camera.frames.min(entry.length);
    let rate_hz = match entry.rate_hz {
        rate if rate > 0.0 => rate,
        _ => options.assumed_rate_hz,
    };
    match shape.sampling {
        Sampling::Legacy => {
            let fps = if camera.fps > 0.0 {
                camera.fps
            } else {
                rate_hz
            };
            let span = shape.frames * sampling::legacy_step(fps, shape);
            (frames <= span).then(|| {
                format!(
                    "it has {frames} frames, and legacy clips need more than {span}: {} frames, \
                     every {} of a file that says {fps:.1} fps",
                    shape.frames,
                    sampling::legacy_step(fps, shape)
                )
            })
        }
        Sampling::RealTime => {
            // A quarter of a step: rates are means, and single frames may come early.
            let needed_s = (shape.frames as f64 - 1.25) / shape.fps;
            let duration_s = frames.saturating_sub(1) as f64 / rate_hz;
            if rate_hz < 0.9 * shape.fps {
                Some(format!(
                    "it was recorded at {rate_hz:.2} Hz, which can't give {} frames a second",
                    shape.fps
                ))
            } else if duration_s < needed_s {
                Some(format!(
                    "it lasts {duration_s:.2} s, and {} frames at {} a second need {:.2} s",
                    shape.frames,
                    shape.fps,
                    (shape.frames as f64 - 1.0) / shape.fps
                ))
            } else {
                None
            }
        }
    }
}
