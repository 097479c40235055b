//! What `run` shows while it runs: a small block that follows the episode on a terminal, a line
//! per step elsewhere.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Receiver, TryRecvError};
use std::sync::Arc;
use std::time::Duration;

use foresight_planner::{Action, Pose};
use foresight_runs::trace::StepTrace;
use foresight_scenarios::episode::{Answer, EpisodeStep, Observer};
use foresight_scenarios::monitor::Alarm;
use foresight_scenarios::LoadedScenario;
use indicatif::{ProgressBar, ProgressStyle};

use crate::overrides::interruption;

/// Columns of a terminal that doesn't say.
const DEFAULT_COLUMNS: u16 = 80;
/// Values in a sparkline.
const SPARKS: usize = 24;

/// Follows an episode on standard error.
pub(crate) struct ProgressView {
    bar: ProgressBar,
    live: bool,
    columns: usize,
    episode: EpisodeProgress,
    interrupted: Arc<AtomicBool>,
    /// The question being asked.
    asked: Option<Receiver<Answer>>,
}

impl ProgressView {
    /// Begins to follow.
    pub(crate) fn new(loaded: &LoadedScenario) -> Self {
        let live = std::io::stderr().is_terminal();
        let columns = console::Term::stderr()
            .size_checked()
            .map(|(_, columns)| columns);
        let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}");
        let bar = if live {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        if live {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        let goals = loaded.scenario.subgoal.iter();
        ProgressView {
            bar,
            live,
            columns: usize::from(columns.unwrap_or(DEFAULT_COLUMNS)),
            episode: EpisodeProgress {
                goals: goals.map(|g| (g.name.clone(), g.steps)).collect(),
                thinking: None,
                steps: Vec::new(),
            },
            interrupted: interruption(),
            asked: None,
        }
    }

    /// Takes the block away.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// What may be answered while the arm holds.
const ANSWERS: &str = "the arm holds; g goes on, b goes back and tries again, s stops:";

/// Listens on the terminal; the answer comes when it comes.
fn listen() -> Receiver<Answer> {
    let (said, heard) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        loop {
            line.clear();
            let answer = match std::io::stdin().read_line(&mut line) {
                Ok(0) | Err(_) => Answer::Stop,
                Ok(_) => match line.trim() {
                    "g" | "go" | "go on" => Answer::GoOn,
                    "b" | "back" | "go back" => Answer::Retry,
                    "s" | "stop" => Answer::Stop,
                    _ => {
                        eprintln!("{ANSWERS}");
                        continue;
                    }
                },
            };
            // Nobody waits any more when the run is over.
            let _ = said.send(answer);
            return;
        }
    });
    heard
}

impl Observer for ProgressView {
    fn alarmed(&mut self, alarm: &Alarm) {
        let Alarm {
            step, reason, done, ..
        } = alarm;
        let line = format!("alarm after step {step}: {reason}; {done}");
        self.bar.suspend(|| eprintln!("{line}"));
    }

    fn answer(&mut self, alarm: &Alarm) -> Option<Answer> {
        if self.interrupted.load(Ordering::Relaxed) || !std::io::stdin().is_terminal() {
            return Some(Answer::Stop);
        }
        if self.asked.is_none() {
            let Alarm { step, reason, .. } = alarm;
            // On a line of its own: what is drawn below is drawn anew all the time.
            let line = format!("alarm after step {step}: {reason}\n{ANSWERS}");
            self.bar.suspend(|| eprintln!("{line}"));
        }
        let said = self.asked.get_or_insert_with(listen).try_recv();
        let answer = match said {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Answer::Stop,
        };
        self.asked = None;
        Some(answer)
    }

    fn deciding(&mut self, goal: usize, goal_step: u32) -> ControlFlow<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        self.episode.thinking = Some((goal, goal_step));
        if self.live {
            // The spinner's line is longer by what stands before the message.
            self.bar.set_message(self.episode.block(self.columns, 10));
        }
        ControlFlow::Continue(())
    }

    fn step(&mut self, step: &EpisodeStep<'_>) {
        let name = &self.episode.goals[step.goal].0;
        self.episode.steps.push(StepTrace::new(step, name));
        self.episode.thinking = None;
        if self.live {
            self.bar.set_message(self.episode.block(self.columns, 10));
        } else {
            eprintln!("{}", self.episode.line());
        }
    }
}

/// What is known of the episode so far.
struct EpisodeProgress {
    /// Names and budgets of the sub-goals.
    goals: Vec<(String, u32)>,
    /// The sub-goal and its step that are being decided about.
    thinking: Option<(usize, u32)>,
    steps: Vec<StepTrace>,
}

impl EpisodeProgress {
    /// The last step in one line.
    fn line(&self) -> String {
        let Some(step) = self.steps.last() else {
            return String::new();
        };
        let budget = self.goals.get(step.subgoal_index).map_or(0, |g| g.1);
        let energy = step.plan.energy.map_or("-".into(), |e| format!("{e:.4}"));
        let mut line = format!(
            "step {:>3}  {} {}/{budget}  distance {:.4}  energy {energy}  plan {:.2} s  move {:.1} s  gripper {:.2}",
            step.step + 1,
            step.subgoal,
            step.subgoal_step + 1,
            step.distance,
            step.seconds.plan,
            step.seconds.arm,
            step.reached_pose[6],
        );
        if let Some(trouble) = trouble(step) {
            let _ = write!(line, "  {trouble}");
        }
        line
    }

    /// The block, no line longer than `columns`; the first one starts `taken` columns in.
    fn block(&self, columns: usize, taken: usize) -> String {
        let mut lines = vec![self.progress()];
        if let Some(step) = self.steps.last() {
            let of_goal = self
                .steps
                .iter()
                .filter(|s| s.subgoal_index == step.subgoal_index);
            let distances: Vec<f32> = of_goal.map(|s| s.distance).collect();
            lines.push(format!(
                "  distance  {:<7.4} {}",
                step.distance,
                sparkline(&distances)
            ));
            let energies: Vec<f32> = step
                .plan
                .iterations
                .iter()
                .filter_map(|i| i.elite_energies.first().copied())
                .collect();
            lines.push(format!(
                "  energy    {:<7} {}",
                step.plan.energy.map_or("-".into(), |e| format!("{e:.4}")),
                sparkline(&energies)
            ));
            if !step.plan.macro_actions.is_empty() {
                lines.push(format!("  waypoints {}", waypoints(step)));
            }
            let held = step.truth.as_ref().is_some_and(|t| t.held);
            lines.push(format!(
                "  gripper   {:<7.2} {}{}",
                step.reached_pose[6],
                gauge(step.reached_pose[6], 10),
                if held { "  holds the object" } else { "" }
            ));
            lines.push(format!(
                "  arm       {}, {:.1} mm from where it was sent{}",
                match (step.arm_settled, &step.motion) {
                    (true, _) => "at rest",
                    (_, Some(motion)) if motion.under_way => "under way",
                    _ => "not at rest",
                },
                1000.0 * step.error_m,
                trouble(step).map_or_else(String::new, |t| format!("; {t}"))
            ));
            let s = &step.seconds;
            lines.push(format!(
                "  latency   look {:.2} s, plan {:.2} s, move {:.2} s",
                s.observe, s.plan, s.execute
            ));
        }
        for (i, line) in lines.iter_mut().enumerate() {
            let room = columns.saturating_sub(1 + if i == 0 { taken } else { 0 });
            if line.chars().count() > room {
                *line = line.chars().take(room.saturating_sub(1)).collect();
                line.push('…');
            }
        }
        lines.join("\n")
    }

    fn progress(&self) -> String {
        let (goal, spent) = match (self.thinking, self.steps.last()) {
            (Some((goal, step)), _) => (goal, step),
            (None, Some(step)) => (step.subgoal_index, step.subgoal_step + 1),
            (None, None) => (0, 0),
        };
        // What is left, not what was planned: sub-goals end early, and runs go back.
        let left: u32 = self.goals.iter().skip(goal).map(|g| g.1).sum();
        let done = self.steps.len() as u32;
        let total = done + left.saturating_sub(spent);
        let share = f64::from(done) / f64::from(total.max(1));
        let what = match (self.thinking, self.steps.last()) {
            (Some((goal, step)), _) => {
                let (name, budget) = &self.goals[goal];
                format!("{name} {}/{budget}  looking and planning", step + 1)
            }
            (None, Some(step)) => format!("{} {}", step.subgoal, step.subgoal_step + 1),
            (None, None) => "getting ready".into(),
        };
        format!("{} {done}/{total}  {what}", gauge(share, 16))
    }
}

/// Where a plan of two levels leads, in the base frame: the hand, and where the fingers move.
fn waypoints(step: &StepTrace) -> String {
    let mut pose = Pose::from_array(step.pose);
    let waypoints = step.plan.macro_actions.iter().map(|action| {
        pose = pose.apply(&Action::from_array(*action));
        let [x, y, z] = pose.position_m.map(|m| 100.0 * m);
        let fingers = match action[6] {
            closes if closes > 0.0 => " closes",
            opens if opens < 0.0 => " opens",
            _ => "",
        };
        format!("{x:.0} {y:.0} {z:.0} cm{fingers}")
    });
    waypoints.collect::<Vec<_>>().join(" → ")
}

/// What was not as planned in a step.
fn trouble(step: &StepTrace) -> Option<String> {
    if let Some(refusal) = &step.refusal {
        return Some(format!("not moved: {refusal}"));
    }
    if step.refused_targets > 0 {
        return Some(format!("{} targets refused", step.refused_targets));
    }
    let change = step.adjustments.first()?;
    Some(format!("limited: {change}"))
}

/// The last values as bars, the lowest smallest.
fn sparkline(values: &[f32]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let last = &values[values.len().saturating_sub(SPARKS)..];
    let low = last.iter().copied().fold(f32::INFINITY, f32::min);
    let high = last.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let bar = |v: &f32| {
        let share = (v - low) / (high - low).max(f32::MIN_POSITIVE);
        // NaN and what lies outside become the nearest bar.
        BARS[((share * 7.0).round() as usize).min(7)]
    };
    last.iter().map(bar).collect()
}

/// A share from 0 to 1 as a bar of `width` characters.
fn gauge(share: f64, width: usize) -> String {
    let full = ((share.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
    format!("▕{}{}▏", "█".repeat(full), "·".repeat(width - full))
}

#[cfg(test)]
#[path = "../tests/unit/progress_view.rs"]
mod tests;
