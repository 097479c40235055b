//! What a recording amounted to.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Episodes and successes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// Episodes recorded.
    pub episodes: u64,
    /// Those that achieved what they tried.
    pub successes: u64,
}

/// The outcome of a recording.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RecordingSummary {
    /// Episodes recorded now.
    pub recorded: u64,
    /// Branches recorded beside them.
    pub branches: u64,
    /// Episodes found already recorded and left alone.
    pub already_there: u64,
    /// Seeds that could not be recorded, with reasons.
    pub failed: Vec<(u64, String)>,
    /// Episodes recorded now that achieved what they tried.
    pub successes: u64,
    /// Frames recorded now.
    pub frames: u64,
    /// Targets the guard refused in all episodes; 0 in normal operation.
    pub refused_targets: u64,
    /// Actions the safety envelope shortened.
    pub shortened_actions: u64,
    /// Wall time, s.
    pub seconds: f64,
    /// Time of all workers spent moving the arm, s.
    pub moving_seconds: f64,
    /// Time of all workers spent observing: rendering and settling, s.
    pub observing_seconds: f64,
    /// Time of all workers spent building scenes, s.
    pub building_seconds: f64,
    /// Time of all workers spent writing, s.
    pub writing_seconds: f64,
    /// Arm time of all episodes, s.
    pub arm_seconds: f64,
    /// By behaviour.
    pub behaviours: BTreeMap<String, Count>,
    /// By start.
    pub starts: BTreeMap<String, Count>,
}

impl RecordingSummary {
    /// Frames a second of wall time.
    pub fn frames_per_second(&self) -> f64 {
        self.frames as f64 / self.seconds.max(1e-9)
    }
}

impl fmt::Display for RecordingSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} episodes and {} branches recorded, {} already there, {} failed",
            self.recorded,
            self.branches,
            self.already_there,
            self.failed.len()
        )?;
        for (seed, reason) in self.failed.iter().take(5) {
            writeln!(f, "  scene seed {seed}: {reason}")?;
        }
        if self.recorded == 0 {
            return Ok(());
        }
        let share = |n: u64, of: u64| 100.0 * n as f64 / of.max(1) as f64;
        writeln!(
            f,
            "{:.1}% achieved what they tried; {} refused targets, {} actions shortened by the \
             envelope",
            share(self.successes, self.recorded),
            self.refused_targets,
            self.shortened_actions
        )?;
        writeln!(
            f,
            "{:.1} episodes/s, {:.0} frames/s, {:.1}× real time",
            self.recorded as f64 / self.seconds.max(1e-9),
            self.frames_per_second(),
            self.arm_seconds / self.seconds.max(1e-9)
        )?;
        let parts = [
            ("moving", self.moving_seconds),
            ("observing", self.observing_seconds),
            ("building scenes", self.building_seconds),
            ("writing", self.writing_seconds),
        ];
        let total: f64 = parts.iter().map(|(_, s)| s).sum();
        let list: Vec<String> = parts
            .iter()
            .map(|(name, s)| format!("{name} {:.0}%", 100.0 * s / total.max(1e-9)))
            .collect();
        writeln!(f, "time: {}", list.join(", "))?;
        for (title, counts) in [("behaviour", &self.behaviours), ("start", &self.starts)] {
            for (name, count) in counts {
                writeln!(
                    f,
                    "{title:<10} {name:<15} {:>6} episodes, {:>5.1}% achieved",
                    count.episodes,
                    share(count.successes, count.episodes)
                )?;
            }
        }
        Ok(())
    }
}
