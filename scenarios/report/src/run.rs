//! Plays a scenario once: the run folder, the look back at it, and its report.

use std::ops::ControlFlow;
use std::path::PathBuf;

use foresight_runs::analysis::{self, AnalysisDepth};
use foresight_runs::folder::{RunFolder, VIEW_PX};
use foresight_runs::record::{RunRecord, RunResult};
use foresight_runs::said;
use foresight_scenarios::env::Env;
use foresight_scenarios::episode::{self, Answer, EpisodeOutcome, EpisodeStep, Observer};
use foresight_scenarios::monitor::{Alarm, Watched};
use foresight_scenarios::{EpisodeSpec, LoadedScenario, ModelSource, RunError};

use crate::animation::Animation;
use crate::run_page;

/// How a run is carried out.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The seed of scene and search.
    pub seed: u64,
    /// Folder that gets the run folder.
    pub out: PathBuf,
    /// In virtual time instead of over zenoh in real time.
    pub virtual_time: bool,
}

/// Plays a scenario once.
///
/// # Errors
/// [`RunError`] when scenario, model, arm or disk fail; the run folder keeps what was written.
pub fn run(
    loaded: &LoadedScenario,
    source: &ModelSource,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<RunResult, RunError> {
    let instance = EpisodeSpec::new(loaded, options.seed);
    let path = RunFolder::fresh_path(&options.out, &instance);
    let depth = AnalysisDepth::Full;
    let virtual_time = options.virtual_time;
    let outcome = play_into(
        path.clone(),
        &instance,
        source,
        virtual_time,
        depth,
        observer,
    )?;
    Ok(RunResult::new(&instance, &outcome, path))
}

/// Plays an episode and leaves a run folder at `path`.
///
/// # Errors
/// As [`run`].
pub(crate) fn play_into(
    path: PathBuf,
    instance: &EpisodeSpec,
    source: &ModelSource,
    virtual_time: bool,
    depth: AnalysisDepth,
    observer: &mut dyn Observer,
) -> Result<EpisodeOutcome, RunError> {
    let images = instance.goal_images()?;
    let controller = source.controller(instance, &images)?;
    let said = controller.said.clone();
    let views = instance.goal_views(VIEW_PX);
    let mut folder = RunFolder::create(path.clone(), instance, source, &images, &views)?;
    let mut env = if virtual_time {
        Env::in_virtual_time(instance)?
    } else {
        Env::in_real_time(instance)?
    };
    let view = env.view(VIEW_PX);
    folder.view(view.as_ref())?;
    let goals = images.into_iter().enumerate();
    let goals = goals.map(|(i, image)| views.get(i).cloned().flatten().unwrap_or(image));
    let mut recorder = Recorder {
        folder,
        animation: Animation::new(goals.collect(), view),
        observer,
        failed: None,
    };
    let played = episode::play(
        instance,
        &mut env,
        source,
        controller,
        Some(VIEW_PX),
        &mut recorder,
    );
    // Before the report is written, which takes seconds: the arm is stopped and let go of.
    drop(env);
    let Recorder {
        folder,
        animation,
        failed,
        ..
    } = recorder;
    if let Some(error) = failed {
        return Err(error);
    }
    let outcome = match played {
        Ok(outcome) => outcome,
        Err(error) => {
            // What was seen so far is worth a report; the error is what the user must hear.
            if folder.steps() > 0 {
                folder.abandon(&error.to_string(), instance)?;
                run_page::write(&path)?;
            }
            return Err(error);
        }
    };
    let result = RunResult::new(instance, &outcome, path.clone());
    let record = RunRecord::finished(result, &outcome, source.describe(), virtual_time);
    folder.finish(&outcome, &record)?;
    animation.finish(&outcome, &path.join("episode.gif"))?;
    if let ModelSource::Latent(loaded) = source {
        said::write(&path, instance, &loaded.model, said.stages())?;
        analysis::analyse_own(&path, instance, loaded, depth)?;
    }
    run_page::write(&path)?;
    Ok(outcome)
}

/// Writes steps down on their way to whoever observes. A disk that refuses ends the episode.
struct Recorder<'a> {
    folder: RunFolder,
    animation: Animation,
    observer: &'a mut dyn Observer,
    failed: Option<RunError>,
}

impl Observer for Recorder<'_> {
    fn deciding(&mut self, goal: usize, goal_step: u32) -> ControlFlow<()> {
        if self.failed.is_some() {
            return ControlFlow::Break(());
        }
        self.observer.deciding(goal, goal_step)
    }

    fn step(&mut self, step: &EpisodeStep<'_>) {
        if self.failed.is_none() {
            self.failed = self.folder.step(step).err();
        }
        self.animation.step(step);
        self.observer.step(step);
    }

    fn watched(&mut self, watched: &Watched) {
        self.observer.watched(watched);
    }

    fn alarmed(&mut self, alarm: &Alarm) {
        self.observer.alarmed(alarm);
    }

    fn answer(&mut self, alarm: &Alarm) -> Option<Answer> {
        self.observer.answer(alarm)
    }
}
