//! The `[planner]` table: how actions are searched for.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use foresight_settings::{
    check, inner_table, read, Change, Diagnostic, Dialect, Located, Remedies, Renamed,
    SettingsError, SourceTable,
};
use serde::{Deserialize, Serialize};

use crate::baseline::{RandomActions, StandStill};
use crate::cem::CemConfig;
use crate::gaussian::{Momentum, WarmStart};
use crate::halving::SuccessiveHalving;
use crate::macro_search::{LevelTwoSearch, WaypointSource};
use crate::mppi::MppiConfig;
use crate::objective::Objective;
use crate::presets::PRESETS;
use crate::refine::GradientRefinement;
use crate::search::SearchMethod;
use crate::space::{Component, SearchSpace};

const OLD_POWER: &str = "planner.unresolved_power";

/// Keys of a document with a `[planner]` table that used to be called something else.
pub const OLD_KEYS: [Renamed; 3] = [
    Renamed::new(OLD_POWER, "planner.residual_power"),
    Renamed::new("planner.device", "model.device"),
    Renamed::new("planner.precision", "model.precision"),
];

/// Beyond this power of the residual a handful of a latent's entries decide everything.
pub const MAX_RESIDUAL_POWER: f64 = 8.0;

/// How actions are searched for: a preset, and what departs from it. Defaults shown are those of
/// `fast`; another preset brings its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(default))]
#[serde(deny_unknown_fields)]
pub struct PlannerConfig {
    /// Where the settings start from.
    #[cfg_attr(feature = "schema", schemars(with = "crate::presets::Preset"))]
    pub preset: String,
    /// Candidates per iteration.
    pub samples: usize,
    /// Iterations per decision.
    pub iterations: usize,
    /// Elites the distribution is refitted to; a preset's number is lowered to that of the samples.
    pub topk: usize,
    /// Steps planned ahead.
    pub horizon: usize,
    /// Bound of every translation per step and axis, m.
    pub box_m: f64,
    /// Bound of every rotation per step and axis, rad; only for searched rotations.
    pub rotation_rad: f64,
    /// Components searched.
    pub dimensions: Vec<Component>,
    /// A final change of the gripper's closedness smaller than this is rounded to 0.
    pub gripper_deadband: f64,
    /// Share of the old mean kept by an update, 0 to below 1.
    pub momentum_mean: f64,
    /// Share of the old standard deviation kept by an update, 0 to below 1.
    pub momentum_std: f64,
    /// The same for the gripper's mean.
    pub momentum_mean_gripper: f64,
    /// The same for the gripper's standard deviation.
    pub momentum_std_gripper: f64,
    /// Whether the mean is one of each iteration's candidates.
    pub mean_is_candidate: bool,
    /// How many elites of the last iteration compete again.
    pub keep_elites: usize,
    /// How the distribution is refitted.
    pub method: RefitMethod,
    /// What acts instead of a search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// Share of the samples that each further iteration draws, above 0 and at most 1.
    pub population_decay: f64,
    /// Exponent of the noise's power spectrum over the planned steps: 0 is white, 2 keeps
    /// actions going in one direction. Matters beyond one step.
    pub noise_colour: f64,
    /// Whether a decision starts from what the last plan would have done next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_start: Option<bool>,
    /// Share of the first standard deviation that a warm start begins with; all of it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_start_std: Option<f64>,
    /// Whether the best candidate met is executed rather than the mean of the elites.
    pub execute_best: bool,
    /// Which planned steps count in a candidate's energy. Matters beyond one step.
    pub objective: ObjectiveSteps,
    /// What each planned step weighs of the one before it with `objective = "all"`, above 0 to 1:
    /// the lower, the more the next action has to be the best one by itself.
    pub discount: f64,
    /// Whether no plan looks further ahead than the sub-goal has steps left. Matters beyond one step.
    pub within_steps_left: bool,
    /// Temperature of `mppi` over the spread of the energies.
    pub temperature: f64,
    /// Successive halving: share of the predictor's blocks that candidates are previewed with; no
    /// halving when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_share: Option<f64>,
    /// Successive halving: share of the previewed candidates whose energies are computed.
    pub preview_kept: f64,
    /// Gradient steps through the predictor after the search.
    pub refine_steps: usize,
    /// Sequences that go downhill together: the result and the best elites.
    pub refine_starts: usize,
    /// Length of the first gradient step as a share of each bound.
    pub refine_step_share: f64,
    /// Entries of a latent are weighed by how far they are from the goal's when its pursuit begins,
    /// divided by how much moving the arm changes them, to this power, 0 to 8: what is wrong and
    /// not set right by moving alone counts most. 0 is the paper's plain L1.
    pub residual_power: f64,
    /// 1, or 2: then the model's second level plans macro-actions to the goal, and what is searched
    /// here leads to the first waypoint of that plan.
    #[serde(default = "one_level")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 2)))]
    pub levels: u8,
    /// The second level's search, with `levels = 2`.
    #[serde(default)]
    pub level_two: LevelTwoSearch,
    /// Longest a decision may take while the arm is held, s; then the arm's own watchdog stops it.
    pub deadline_s: f64,
}

fn one_level() -> u8 {
    1
}

/// How a search learns from its candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefitMethod {
    /// The distribution is refitted to the elites.
    Cem,
    /// Every candidate pulls at the mean, the better the harder.
    Mppi,
}

/// Which planned steps count in a candidate's energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveSteps {
    /// The last, as in the released code.
    Last,
    /// All, the sooner the more (`discount`).
    All,
}

/// What a plan has to beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// Never moves.
    StandStill,
    /// Random actions.
    Random,
}

impl Default for PlannerConfig {
    fn default() -> Self {
        PlannerConfig::built_in(PRESETS.default)
    }
}

impl PlannerConfig {
    /// The preset of that name.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn preset(name: &str) -> Result<Self, Diagnostic> {
        read(PRESETS.table(name)?).map_err(|e| Diagnostic::new("preset", e.to_string(), ""))
    }

    /// A preset that is known to exist.
    pub(crate) fn built_in(name: &str) -> Self {
        PlannerConfig::preset(name).expect("a preset of planner/presets")
    }

    /// Completes a `[planner]` table with the preset it names.
    ///
    /// # Errors
    /// When there is no preset of that name; the path is `preset`.
    pub fn complete(table: &mut SourceTable<'_>) -> Result<(), Diagnostic> {
        let chosen = table.contains_key("topk");
        PRESETS.lay_under(table)?;
        // A preset's number of elites must not forbid a small search.
        let count = |key| -> Option<usize> {
            table
                .get(key)?
                .get_ref()
                .as_integer()?
                .as_str()
                .parse()
                .ok()
        };
        let small =
            count("samples").is_some_and(|samples| samples > 0 && Some(samples) < count("topk"));
        if small && !chosen {
            if let (Some(samples), Some(topk)) =
                (table.get("samples").cloned(), table.get_mut("topk"))
            {
                *topk = samples;
            }
        }
        Ok(())
    }

    /// Settings of a command without a scenario: `changes` of `planner.*` over a preset; and hints
    /// at keys that are called something else by now.
    ///
    /// # Errors
    /// [`SettingsError::Content`] with everything that is wrong.
    pub fn changed(changes: &[Change]) -> Result<(Self, Vec<Located>), SettingsError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            planner: PlannerConfig,
        }
        let dialect = Dialect {
            // What belongs to the model is a flag of such a command.
            renamed: &[Renamed::new(OLD_POWER, "planner.residual_power")],
            complete: &PlannerConfig::complete_within,
            remedies: Remedies::default(),
        };
        let (Document { planner }, hints) = dialect.layered(None, changes)?;
        let faults = planner.faults().into_iter().map(|f| f.within("planner"));
        check(faults.collect(), None, changes, dialect.renamed)?;
        Ok((planner, hints))
    }

    /// Settings from a file that is a `[planner]` table.
    ///
    /// # Errors
    /// [`SettingsError::Content`] with everything that is wrong.
    pub fn from_table(file: &Path, text: &str) -> Result<Self, SettingsError> {
        let file = Some((file, text));
        let dialect = Dialect {
            renamed: &[Renamed::new("unresolved_power", "residual_power")],
            complete: &PlannerConfig::complete,
            remedies: Remedies::default(),
        };
        let (planner, _) = dialect.layered::<PlannerConfig>(file, &[])?;
        check(planner.faults(), file, &[], dialect.renamed)?;
        Ok(planner)
    }

    /// As [`PlannerConfig::complete`], for the table `planner` of a document; where it has none, it
    /// gets one.
    ///
    /// # Errors
    /// As [`PlannerConfig::complete`]; the path is `planner.preset`.
    pub fn complete_within(document: &mut SourceTable<'_>) -> Result<(), Diagnostic> {
        inner_table(document, "planner")
            .map_or(Ok(()), PlannerConfig::complete)
            .map_err(|fault| fault.within("planner"))
    }

    /// Everything that is out of range; paths are keys of the `[planner]` table.
    pub fn faults(&self) -> Vec<Diagnostic> {
        let mut faults = Vec::new();
        let mut check = |ok: bool, key: &str, value: &dyn Display, remedy: &str| {
            if !ok {
                faults.push(Diagnostic::new(key, format!("{key} is {value}"), remedy));
            }
        };
        for (key, value) in [("box_m", self.box_m), ("rotation_rad", self.rotation_rad)] {
            let ok = value > 0.0 && value.is_finite();
            check(ok, key, &value, "give a number above 0");
        }
        for (key, value) in [
            ("temperature", Some(self.temperature)),
            ("preview_share", self.preview_share),
            ("preview_kept", Some(self.preview_kept)),
            ("refine_step_share", Some(self.refine_step_share)),
            ("warm_start_std", self.warm_start_std),
            ("discount", Some(self.discount)),
        ] {
            let value = value.unwrap_or(1.0);
            let ok = value > 0.0 && value <= 1.0;
            check(ok, key, &value, "give a number above 0 and at most 1");
        }
        for (key, value, most) in [
            ("refine_steps", self.refine_steps, 1000),
            ("refine_starts", self.refine_starts, 64),
        ] {
            check(
                value <= most,
                key,
                &value,
                &format!("give a number up to {most}"),
            );
        }
        let power = self.residual_power;
        let ok = (0.0..=MAX_RESIDUAL_POWER).contains(&power);
        let remedy = format!("give a number from 0 (the paper's L1) to {MAX_RESIDUAL_POWER}");
        check(ok, "residual_power", &power, &remedy);
        let deadline = self.deadline_s;
        let ok = (0.1..=3600.0).contains(&deadline);
        check(ok, "deadline_s", &deadline, "give seconds in 0.1..=3600");
        let remedy = "give 1, or 2 for a model with a second level";
        check(
            (1..=2).contains(&self.levels),
            "levels",
            &self.levels,
            remedy,
        );
        let of_level_two = self.level_two.faults().into_iter();
        faults.extend(of_level_two.map(|fault| fault.within("level_two")));
        faults.extend(self.cem().faults());
        faults
    }

    /// The cross-entropy settings; those of a baseline are of its preset.
    pub fn cem(&self) -> CemConfig {
        CemConfig {
            samples: self.samples,
            iterations: self.iterations,
            topk: self.topk,
            horizon: self.horizon,
            momentum: Momentum {
                mean: self.momentum_mean,
                std: self.momentum_std,
            },
            momentum_gripper: Momentum {
                mean: self.momentum_mean_gripper,
                std: self.momentum_std_gripper,
            },
            space: SearchSpace::of(&self.dimensions, self.box_m, self.rotation_rad),
            gripper_deadband: self.gripper_deadband,
            mean_is_candidate: self.mean_is_candidate,
            keep_elites: self.keep_elites,
            population_decay: self.population_decay,
            noise_colour: self.noise_colour,
            warm_start: match (self.warm_start, self.warm_start_std) {
                (Some(false), _) | (None, None) => WarmStart::Cold,
                (_, Some(share)) => WarmStart::Narrow(share),
                (Some(true), None) => WarmStart::Mean,
            },
            execute_best: self.execute_best,
            objective: match self.objective {
                ObjectiveSteps::Last => Objective::Last,
                ObjectiveSteps::All => Objective::All(self.discount),
            },
            within_steps_left: self.within_steps_left,
        }
    }

    /// MPPI with these settings' sampling.
    pub fn mppi(&self) -> MppiConfig {
        MppiConfig {
            sampling: self.cem(),
            temperature: self.temperature,
        }
    }

    /// The method described: a distribution that is refitted, its candidates halved by previews and
    /// its result refined by gradients where asked for.
    pub fn method(&self) -> Box<dyn SearchMethod> {
        let space = self.cem().space;
        match self.baseline {
            Some(Baseline::StandStill) => return Box::new(StandStill),
            Some(Baseline::Random) => return Box::new(RandomActions { space }),
            None => {}
        }
        let mut method: Box<dyn SearchMethod> = match self.method {
            RefitMethod::Cem => Box::new(self.cem()),
            RefitMethod::Mppi => Box::new(self.mppi()),
        };
        if let Some(preview_share) = self.preview_share {
            method = Box::new(SuccessiveHalving {
                method,
                preview_share,
                kept_share: self.preview_kept,
            });
        }
        if self.refine_steps > 0 {
            method = Box::new(GradientRefinement {
                method,
                space,
                starts: self.refine_starts,
                steps: self.refine_steps,
                step_share: self.refine_step_share,
            });
        }
        method
    }

    /// In a few words, for tables.
    pub fn describe(&self) -> String {
        match self.baseline {
            Some(Baseline::StandStill) => "standing still".into(),
            Some(Baseline::Random) => "random actions".into(),
            None => {
                let words = |samples: usize, iterations: usize, horizon: usize| {
                    format!("{samples} × {iterations}, horizon {horizon}")
                };
                let first = words(self.samples, self.iterations, self.horizon);
                let second = self.level_two;
                match (self.levels, second.waypoints) {
                    (..=1, _) => first,
                    (_, WaypointSource::Recorded) => format!("recorded waypoints, then {first}"),
                    (_, WaypointSource::Foreseen) => {
                        let second = words(second.samples, second.iterations, second.horizon);
                        format!("macro-actions {second}, then {first}")
                    }
                }
            }
        }
    }

    /// Longest a decision may take while the arm is held.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs_f64(self.deadline_s)
    }
}

impl CemConfig {
    /// The preset `paper`.
    pub fn paper() -> Self {
        PlannerConfig::built_in("paper").cem()
    }

    /// The preset `notebook`: the defaults of the released notebook's `WorldModel`.
    pub fn notebook() -> Self {
        PlannerConfig::built_in("notebook").cem()
    }

    /// The preset `fast`.
    pub fn fast() -> Self {
        PlannerConfig::built_in("fast").cem()
    }
}

impl Default for MppiConfig {
    fn default() -> Self {
        PlannerConfig::built_in("mppi").mppi()
    }
}
