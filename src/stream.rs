//! `--rerun-connect` of `run`: the run told to a viewer while it goes on.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread::JoinHandle;

use anyhow::{bail, Result};
use foresight_scenarios::episode::{EpisodeStep, Follow};
use foresight_scenarios::timeline::tell::{png, verdict, Course, Pictures};
use foresight_scenarios::timeline::{Sink, TimelineError};
use foresight_scenarios::trace::StepTrace;
use foresight_scenarios::{EpisodeSpec, RunResult};
use image::RgbImage;

/// What is still to be told.
enum News {
    /// A step, and the frame before it.
    Step(Box<StepTrace>, Option<RgbImage>),
    /// How it ended: whether it failed, and why.
    Verdict(bool, String),
}

/// A viewer that follows a run. It is told by a thread of its own: one that is slow or gone must
/// not hold up an arm.
pub struct Viewer {
    news: Sender<News>,
    teller: JoinHandle<Result<(), TimelineError>>,
    goal_names: Vec<String>,
}

impl Viewer {
    /// Begins to tell `instance` to `sink`.
    ///
    /// # Errors
    /// When the scenario's goal images can't be read.
    pub fn new(instance: &EpisodeSpec, mut sink: Box<dyn Sink>) -> Result<Self> {
        let goals = instance.goal_images()?;
        let scene = instance.scene.clone();
        let (news, heard) = channel();
        let teller = std::thread::spawn(move || {
            let course = Course::begin(scene.as_ref(), sink.as_mut())?;
            tell(course, &heard, &goals, sink.as_mut())?;
            sink.finish()
        });
        let subgoals = instance.loaded.scenario.subgoal.iter();
        Ok(Viewer {
            news,
            teller,
            goal_names: subgoals.map(|g| g.name.clone()).collect(),
        })
    }

    /// Tells how it ended, and waits until everything is told.
    ///
    /// # Errors
    /// When the viewer could not be told all of it.
    pub fn finish(self, result: &RunResult) -> Result<()> {
        let failed = result.success == Some(false);
        // Nobody listens when telling failed; why is what the thread ended with.
        let _ = self.news.send(News::Verdict(failed, result.reason.clone()));
        drop(self.news);
        match self.teller.join() {
            Ok(told) => Ok(told?),
            Err(_) => bail!("telling the viewer failed for a reason it didn't give"),
        }
    }
}

fn tell(
    mut course: Course,
    heard: &Receiver<News>,
    goals: &[RgbImage],
    sink: &mut dyn Sink,
) -> Result<(), TimelineError> {
    while let Ok(news) = heard.recv() {
        match news {
            News::Step(step, frame) => {
                let pictures = Pictures {
                    frame: frame.as_ref().map(png),
                    goal: goals.get(step.subgoal_index),
                    imagined: None,
                };
                course.step(&step, pictures, sink)?;
            }
            News::Verdict(failed, reason) => verdict(failed, &reason, sink)?,
        }
    }
    Ok(())
}

impl Follow for Viewer {
    fn step(&mut self, step: &EpisodeStep<'_>) {
        let name = self.goal_names.get(step.goal).map_or("", String::as_str);
        let trace = Box::new(StepTrace::new(step, name));
        let frame = Some(step.observation.frame.image.clone());
        // As above: a viewer that is gone is reported at the end.
        let _ = self.news.send(News::Step(trace, frame));
    }
}
