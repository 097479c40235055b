//! Training clips by number: the n-th draw of a seed is always the same clip.
//!
//! A trainer asks for draws 0, 1, 2 …; what a draw is depends on the seed and its number alone,
//! not on what was drawn before or by how many threads. A resumed run that goes on at draw n
//! therefore sees the data it would have seen, and several machines can share the draws between
//! them.
//!
//! ```no_run
//! use foresight_datasets::{ClipOptions, ClipSampler};
//!
//! let data = foresight_datasets::open("droid/index.json".as_ref())?;
//! let clips = ClipSampler::new(data, ClipOptions::default())?;
//! for (episode, reason) in clips.skipped() {
//!     eprintln!("{episode} is left out: {reason}");
//! }
//! let clip = clips.clip(0)?;
//! assert_eq!(clip.frames.len(), 8);
//! assert_eq!((clip.window.states.len(), clip.window.actions.len()), (8, 7));
//! # Ok::<(), foresight_datasets::DatasetError>(())
//! ```

use foresight_planner::Pose;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::alignment;
use crate::clips::{ClipOptions, ClipWindow, Draws, TrainingClip};
use crate::draws::{ClipStart, Drawn, Table, GRIPPER_EVENT};
use crate::entry::{CameraEntry, IndexEntry};
use crate::error::{DatasetError, Result};
use crate::frames::FrameStack;
use crate::jumps;
use crate::sampling::{self, Sampling};
use crate::store::{EpisodeExtras, EpisodeStore, OnBadEpisode, Proprioception};
use crate::view::View;

/// Clips drawn from a dataset's episodes.
pub struct ClipSampler {
    store: Box<dyn EpisodeStore>,
    options: ClipOptions,
    /// Indices into the store.
    usable: Vec<usize>,
    skipped: Vec<(String, String)>,
    table: Table,
}

impl ClipSampler {
    /// Clips of a dataset. Draws of clips rather than episodes read every episode's poses here.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] for impossible options; the first unusable episode's error
    /// unless they are skipped; [`DatasetError::Mismatch`] when none is left.
    pub fn new(store: Box<dyn EpisodeStore>, options: ClipOptions) -> Result<Self> {
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
                alignment::check(camera.frames, entry.length, options.frame_tolerance)
                    .err()
                    .or_else(|| too_short(entry, camera, &options))
            });
            match fault {
                None => usable.push(episode),
                Some(reason) => skipped.push((entry.path.clone(), reason)),
            }
        }
        if let (OnBadEpisode::Refuse, Some((path, reason))) =
            (options.on_bad_episode, skipped.first())
        {
            return Err(DatasetError::Episode {
                path: path.into(),
                reason: format!(
                    "{reason} ({} of {} episodes are unusable; `on_bad_episode = \"skip\"` leaves them \
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
        let mut sampler = ClipSampler {
            table: Table::new(Draws::Episode, options.seed, usable.len(), Vec::new())?,
            store,
            options,
            usable,
            skipped,
        };
        if sampler.options.on_bad_episode == OnBadEpisode::Skip {
            sampler.skip_unreadable()?;
        }
        if sampler.options.draws != Draws::Episode {
            let recordings = sampler.recordings()?;
            let (draws, seed) = (sampler.options.draws, sampler.options.seed);
            sampler.table = Table::new(draws, seed, sampler.usable.len(), recordings)?;
        }
        Ok(sampler)
    }

    /// Leaves out the episodes whose poses can't be read, or that no clip fits into.
    fn skip_unreadable(&mut self) -> Result<()> {
        let fault = |episode: usize| {
            let views = &mut self.options.views.iter();
            views.find_map(|view| match self.proprioception(episode, view) {
                Err(error) => Some(error.to_string()),
                Ok(measured) if self.starts_of(&measured).is_empty() => Some(self.too_broken()),
                Ok(_) => None,
            })
        };
        let faults: Vec<Option<String>> =
            (0..self.usable.len()).into_par_iter().map(fault).collect();
        for (at, fault) in faults.into_iter().enumerate().rev() {
            if let Some(reason) = fault {
                let episode = self.usable.remove(at);
                let path = self.store.episodes()[episode].path.clone();
                self.skipped.push((path, reason));
            }
        }
        if self.usable.is_empty() {
            let first = self.skipped.first().map_or("", |(_, reason)| reason);
            return Err(DatasetError::Mismatch(format!(
                "no episode can give clips; the first of {}: {first}",
                self.skipped.len()
            )));
        }
        let (seed, count) = (self.options.seed, self.usable.len());
        self.table = Table::new(Draws::Episode, seed, count, Vec::new())?;
        Ok(())
    }

    fn too_broken(&self) -> String {
        format!(
            "its recording has pauses, and no {} frames at {} a second lie between them",
            self.options.shape.frames, self.options.shape.fps
        )
    }

    /// Episodes that are left out, with reasons.
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }

    /// Episodes of whose cameras some frame or state is not used because there are more of one
    /// than of the other, with what it is.
    pub fn length_mismatches(&self) -> Vec<(String, String)> {
        let entries = self.usable.iter().map(|at| &self.store.episodes()[*at]);
        entries
            .flat_map(|entry| {
                let views = self.options.views.iter();
                views.filter_map(|view| Some((entry.path.clone(), entry.length_mismatch(view)?)))
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

    /// Number of episodes clips are drawn from. When episodes are drawn, each appears once in so
    /// many consecutive draws that start at a multiple of it.
    pub fn episodes(&self) -> usize {
        self.usable.len()
    }

    /// Name of an episode.
    pub fn name(&self, episode: usize) -> &str {
        let at = self.usable.get(episode);
        at.map_or("", |at| &self.store.episodes()[*at].path)
    }

    /// Draws of an epoch: so many make every episode or clip appear once, or, where clips count
    /// differently or each draw stands by itself, as many as share a generator.
    pub fn epoch(&self) -> usize {
        self.table.group_size()
    }

    /// States of all episodes, once for each view. 0 where episodes are drawn rather than clips.
    pub fn states(&self) -> usize {
        self.table.states()
    }

    /// What an episode says beyond its poses.
    ///
    /// # Errors
    /// Naming the file that can't be read.
    pub fn extras(&self, episode: usize) -> Result<EpisodeExtras> {
        self.store.extras(self.in_store(episode)?)
    }

    /// A number for whatever else is random in a step whose draws share a generator: what that
    /// gives after the draws.
    pub fn step_seed(&self, step: u64) -> u64 {
        self.table.after(step)
    }

    /// The clips that start at `count` states, evenly spaced over all episodes, without pictures;
    /// states at which no clip starts are left out. None where episodes are drawn rather than clips.
    ///
    /// # Errors
    /// Naming the file that can't be read.
    pub fn evenly_spaced(&self, count: usize) -> Result<Vec<ClipWindow>> {
        let starts = self.table.spaced(count);
        starts
            .into_par_iter()
            .map(|start| self.window_of(start, 0))
            .collect()
    }

    /// From now on every clip is drawn as often as its weight says, relative to the others, with
    /// replacement; weights in the order of [`ClipSampler::evenly_spaced`] over all states. Those of
    /// the options count too. Only where clips are drawn ([`Draws::Clip`]).
    ///
    /// # Errors
    /// When there aren't as many weights as clips, or one is no number above 0.
    pub fn emphasise(&mut self, weights: Vec<f32>) -> Result<()> {
        self.table.emphasise(weights)
    }

    /// States of every episode's every view, and where clips start among them.
    fn recordings(&self) -> Result<Vec<(usize, Vec<ClipStart>)>> {
        let weighted = match self.options.draws {
            Draws::Clip { gripper_events, .. } | Draws::Goal { gripper_events, .. } => {
                gripper_events != 1.0
            }
            _ => false,
        };
        let views = &self.options.views;
        let of = |at: usize| -> Result<(usize, Vec<ClipStart>)> {
            let (episode, view) = (at / views.len(), at % views.len());
            let measured = self.proprioception(episode, &views[view])?;
            let states = measured.time_s.len();
            let start = |frame: usize| -> Result<ClipStart> {
                let event = match self.options.draws {
                    _ if !weighted => false,
                    Draws::Goal { .. } => jumps::gripper_moves(&measured.states, frame),
                    _ => {
                        let window = self.cut(episode, &views[view], &measured, frame, 0)?;
                        let mut actions = window.actions.iter();
                        actions.any(|action| (action[6] as f32).abs() > GRIPPER_EVENT)
                    }
                };
                Ok(ClipStart {
                    episode: episode as u32,
                    view: view as u16,
                    frame: frame as u32,
                    left: (states - 1 - frame) as u32,
                    event,
                })
            };
            let starts = self.starts_of(&measured).into_iter().map(start);
            Ok((states, starts.collect::<Result<_, _>>()?))
        };
        let all = 0..self.usable.len() * views.len();
        all.into_par_iter().map(of).collect()
    }

    fn proprioception(&self, episode: usize, view: &View) -> Result<Proprioception> {
        let mut measured = self.store.proprioception(self.in_store(episode)?, view)?;
        if measured.time_s.is_empty() {
            let rate = self.options.assumed_rate_hz;
            measured.time_s = (0..measured.states.len())
                .map(|i| i as f64 / rate)
                .collect();
        }
        let shared = measured.frames.min(measured.states.len());
        measured.time_s.truncate(shared);
        Ok(measured)
    }

    fn starts_of(&self, measured: &Proprioception) -> Vec<usize> {
        let shape = &self.options.shape;
        match shape.sampling {
            Sampling::RealTime => sampling::starts_by_time(&measured.time_s, shape),
            Sampling::Consecutive => {
                sampling::consecutive_starts(measured.time_s.len(), shape).collect()
            }
            Sampling::Legacy => {
                sampling::legacy_starts(measured.time_s.len(), measured.file_fps, shape).collect()
            }
        }
    }

    /// The states of some frames, in the frame that the options ask for.
    fn poses_at(
        &self,
        episode: usize,
        view: &View,
        measured: &Proprioception,
        frames: &[usize],
    ) -> Result<Vec<Pose>> {
        let states = frames.iter().map(|i| measured.states[*i]);
        if !self.options.transform_frame {
            return Ok(states.collect());
        }
        let cameras = measured.extrinsics.as_ref().ok_or_else(|| {
            DatasetError::episode(
                self.name(episode).as_ref(),
                format!(
                    "its states can't be expressed in the frame of camera {view}: it has no \
                     observation/camera_extrinsics of it; set transform_frame = false"
                ),
            )
        })?;
        let seen = states.zip(frames.iter().map(|i| cameras[*i]));
        Ok(seen
            .map(|(state, camera)| state.seen_from(camera))
            .collect())
    }

    /// Frames of the clip of a draw that starts at `start`, several steps apart.
    fn jumps(
        &self,
        measured: &Proprioception,
        episode: usize,
        start: usize,
        draw: u64,
    ) -> Option<Vec<usize>> {
        let (shape, times) = (&self.options.shape, &measured.time_s);
        let most = 1 + shape.jump_steps[1] * (shape.frames - 1);
        let steps = match shape.sampling {
            Sampling::Consecutive => (start..times.len().min(start + most)).collect(),
            _ => {
                let tolerance = sampling::tolerance_s(times);
                sampling::steps_by_time(times, start, shape, tolerance, most)
            }
        };
        let states: Vec<Pose> = steps.iter().map(|frame| measured.states[*frame]).collect();
        let seed = [self.options.seed, episode as u64, start as u64, draw];
        let landings = jumps::clip(&states, shape, seed)?;
        Some(landings.into_iter().map(|at| steps[at]).collect())
    }

    fn cut(
        &self,
        episode: usize,
        view: &View,
        measured: &Proprioception,
        start: usize,
        draw: u64,
    ) -> Result<ClipWindow> {
        let shape = &self.options.shape;
        let path = self.name(episode).to_owned();
        let numbers = match shape.sampling {
            _ if shape.jumps() => self.jumps(measured, episode, start, draw),
            Sampling::RealTime => {
                let tolerance = sampling::tolerance_s(&measured.time_s);
                sampling::by_time(&measured.time_s, start, shape, tolerance)
            }
            Sampling::Consecutive => Some((start..start + shape.frames).collect()),
            Sampling::Legacy => Some(sampling::legacy(start, measured.file_fps, shape)),
        };
        let inside = |n: &Vec<usize>| n.iter().all(|i| *i < measured.time_s.len());
        let numbers = numbers.filter(inside).ok_or_else(|| {
            DatasetError::episode(
                path.as_ref(),
                format!("no clip of {} frames starts at frame {start}", shape.frames),
            )
        })?;
        let kept: Vec<usize> = numbers.iter().copied().step_by(shape.tubelet).collect();
        let extrinsics: Option<Vec<[f64; 6]>> = measured
            .extrinsics
            .as_ref()
            .map(|rows| kept.iter().map(|i| rows[*i]).collect());
        let states = self.poses_at(episode, view, measured, &kept)?;
        Ok(ClipWindow {
            episode,
            path,
            view: view.clone(),
            frame_numbers: numbers,
            actions: actions_between(&states),
            states: states.iter().map(Pose::to_array).collect(),
            extrinsics,
        })
    }

    /// The frames an episode's clips can start at, in one view.
    ///
    /// # Errors
    /// Naming the file that can't be read.
    pub fn starts(&self, episode: usize, view: &View) -> Result<Vec<usize>> {
        Ok(self.starts_of(&self.proprioception(episode, view)?))
    }

    /// The clip of an episode that starts at a given frame, one of [`ClipSampler::starts`].
    ///
    /// # Errors
    /// When no clip starts there; naming the file that can't be read.
    pub fn window_at(&self, episode: usize, view: &View, start: usize) -> Result<ClipWindow> {
        let measured = self.proprioception(episode, view)?;
        self.cut(episode, view, &measured, start, 0)
    }

    fn window_of(&self, start: ClipStart, draw: u64) -> Result<ClipWindow> {
        let view = &self.options.views[usize::from(start.view)];
        let (episode, frame) = (start.episode as usize, start.frame as usize);
        let measured = self.proprioception(episode, view)?;
        self.cut(episode, view, &measured, frame, draw)
    }

    /// The clip of a draw, without its pictures.
    ///
    /// # Errors
    /// Naming the file that can't be read.
    pub fn window(&self, draw: u64) -> Result<ClipWindow> {
        let episode = match self.table.drawn(draw) {
            Drawn::Episode(episode) => episode,
            Drawn::Clip(start) => return self.window_of(start, draw),
            Drawn::Goal(start, steps) => {
                let view = &self.options.views[usize::from(start.view)];
                let (episode, now) = (start.episode as usize, start.frame as usize);
                let measured = self.proprioception(episode, view)?;
                let mut window = self.cut(episode, view, &measured, now, draw)?;
                let goal = now + steps;
                window.frame_numbers = vec![now, goal];
                let states = self.poses_at(episode, view, &measured, &window.frame_numbers)?;
                let most = self.options.shape.jump_steps[1];
                let landing = jumps::landing(&measured.states, now, most, goal);
                let next = self.poses_at(episode, view, &measured, &[now, landing])?;
                window.actions = actions_between(&next);
                for action in &mut window.actions {
                    action[6] = jumps::gripper_direction(action[6]);
                }
                let keyframes = jumps::keyframes(&measured.states, now, goal);
                let mut way = vec![now];
                way.extend(keyframes.iter().map(|k| k.begins.max(now)));
                way.extend([goal]);
                let waypoints = self.poses_at(episode, view, &measured, &way)?;
                let mut to_keyframes = actions_between(&waypoints);
                // What lies behind the last keyframe moves no gripper.
                let mut moves = keyframes.iter().map(|k| if k.closes { 1.0 } else { -1.0 });
                for action in &mut to_keyframes {
                    action[6] = moves.next().unwrap_or(0.0);
                }
                window.actions.extend(to_keyframes);
                window.states = states.iter().map(Pose::to_array).collect();
                window.extrinsics = None;
                return Ok(window);
            }
        };
        let mut rng = ChaCha8Rng::seed_from_u64(self.options.seed);
        rng.set_stream(draw);
        let views = &self.options.views;
        let view = &views[rng.random_range(0..views.len())];
        let measured = self.proprioception(episode, view)?;
        let starts = self.starts_of(&measured);
        if starts.is_empty() {
            return Err(DatasetError::episode(
                self.name(episode).as_ref(),
                self.too_broken(),
            ));
        }
        let start = starts[rng.random_range(0..starts.len())];
        self.cut(episode, view, &measured, start, draw)
    }

    /// A clip's pictures, `[T, H, W, 3]`.
    ///
    /// # Errors
    /// Naming the file that can't be decoded.
    pub fn frames(&self, window: &ClipWindow) -> Result<FrameStack> {
        let at = self.in_store(window.episode)?;
        self.store.frames(at, &window.view, &window.frame_numbers)
    }

    /// The clip of a draw.
    ///
    /// # Errors
    /// Naming the file that can't be read. A clip is never replaced by another.
    pub fn clip(&self, draw: u64) -> Result<TrainingClip> {
        let window = self.window(draw)?;
        Ok(TrainingClip {
            frames: self.frames(&window)?,
            window,
        })
    }

    /// An episode's index in the store.
    fn in_store(&self, episode: usize) -> Result<usize> {
        self.usable.get(episode).copied().ok_or_else(|| {
            DatasetError::Mismatch(format!(
                "there is no episode {episode}; there are {}",
                self.usable.len()
            ))
        })
    }
}

/// From each pose to the next.
fn actions_between(poses: &[Pose]) -> Vec<[f64; 7]> {
    let pairs = poses.windows(2);
    pairs
        .map(|pair| pair[0].action_to(&pair[1]).to_array())
        .collect()
}

/// Why an episode is too short or too slow for such clips, as far as its index says.
fn too_short(entry: &IndexEntry, camera: &CameraEntry, options: &ClipOptions) -> Option<String> {
    let shape = &options.shape;
    let frames = camera.frames.min(entry.length);
    let rate_hz = match entry.rate_hz {
        rate if rate > 0.0 => rate,
        _ => options.assumed_rate_hz,
    };
    match shape.sampling {
        Sampling::Consecutive => (frames < shape.frames)
            .then(|| format!("it has {frames} frames, and a clip needs {}", shape.frames)),
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
