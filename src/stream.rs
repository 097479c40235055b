//! `--rerun-connect` of `run`: the run told to a viewer while it goes on.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread::JoinHandle;

use anyhow::{bail, Result};
use foresight_report::timeline::exporter::{png, surprise, verdict, RunExporter, StepPictures};
use foresight_report::timeline::{Sink, TimelineError};
use foresight_runs::record::RunResult;
use foresight_runs::trace::StepTrace;
use foresight_scenarios::episode::{EpisodeStep, Observer};
use foresight_scenarios::monitor::Watched;
use foresight_scenarios::EpisodeSpec;
use image::RgbImage;

/// What is still to be told.
enum StreamEvent {
    /// A step, and the frame before it.
    Step(Box<StepTrace>, Option<RgbImage>),
    /// What the monitor makes of a look.
    Watched(Box<Watched>),
    /// How it ended: whether it failed, and why.
    Verdict(bool, String),
}

/// A viewer that follows a run. It is told by a thread of its own: one that is slow or gone must
/// not hold up an arm.
pub(crate) struct Stream {
    events: Sender<StreamEvent>,
    teller: JoinHandle<Result<(), TimelineError>>,
    goal_names: Vec<String>,
}

impl Stream {
    /// Begins to tell `instance` to `sink`.
    ///
    /// # Errors
    /// When the scenario's goal images can't be read.
    pub(crate) fn new(instance: &EpisodeSpec, mut sink: Box<dyn Sink>) -> Result<Self> {
        let goals = instance.goal_images()?;
        let scene = instance.scene.clone();
        let (events, heard) = channel();
        let teller = std::thread::spawn(move || {
            let exporter = RunExporter::begin(scene.as_ref(), sink.as_mut())?;
            tell(exporter, &heard, &goals, sink.as_mut())?;
            sink.finish()
        });
        let subgoals = instance.loaded.scenario.subgoal.iter();
        Ok(Stream {
            events,
            teller,
            goal_names: subgoals.map(|g| g.name.clone()).collect(),
        })
    }

    /// Tells how it ended, and waits until everything is told.
    ///
    /// # Errors
    /// When the viewer could not be told all of it.
    pub(crate) fn finish(self, result: &RunResult) -> Result<()> {
        let failed = result.success == Some(false);
        // Nobody listens when telling failed; why is what the thread ended with.
        let _ = self
            .events
            .send(StreamEvent::Verdict(failed, result.reason.clone()));
        drop(self.events);
        match self.teller.join() {
            Ok(told) => Ok(told?),
            Err(_) => bail!("telling the viewer failed for a reason it didn't give"),
        }
    }
}

fn tell(
    mut exporter: RunExporter,
    heard: &Receiver<StreamEvent>,
    goals: &[RgbImage],
    sink: &mut dyn Sink,
) -> Result<(), TimelineError> {
    while let Ok(events) = heard.recv() {
        match events {
            StreamEvent::Step(step, frame) => {
                let pictures = StepPictures {
                    frame: frame.as_ref().map(png),
                    goal: goals.get(step.subgoal_index),
                    imagined: None,
                };
                exporter.step(&step, pictures, sink)?;
            }
            StreamEvent::Watched(watched) => surprise(&watched, sink)?,
            StreamEvent::Verdict(failed, reason) => verdict(failed, &reason, sink)?,
        }
    }
    Ok(())
}

impl Observer for Stream {
    fn step(&mut self, step: &EpisodeStep<'_>) {
        let name = self.goal_names.get(step.goal).map_or("", String::as_str);
        let trace = Box::new(StepTrace::new(step, name));
        let frame = Some(step.observation.frame.image.clone());
        // As above: a viewer that is gone is reported at the end.
        let _ = self.events.send(StreamEvent::Step(trace, frame));
    }

    fn watched(&mut self, watched: &Watched) {
        let watched = Box::new(watched.clone());
        let _ = self.events.send(StreamEvent::Watched(watched));
    }
}
