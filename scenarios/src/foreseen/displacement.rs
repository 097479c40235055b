//! Where objects go, by what happens to them: foreseen, read from what really came, and true.

use serde::Serialize;

use super::estimate::{Estimate, Sums};
use super::Sample;

/// An object moved further along x or y was displaced, m.
const MOVED_M: f64 = 0.01;
/// An object moved less along every axis lay still, m.
const STILL_M: f64 = 0.003;

/// What happens to the object between two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is out of the hand all along and moves more than 1 cm over the table.
    Push,
    /// It gets into the hand.
    Grasp,
    /// It is in the hand all along and moves more than 1 cm.
    Carry,
    /// It leaves the hand: let go, lost or dropped.
    Drop,
    /// It is out of the hand all along and moves less than 3 mm.
    Nothing,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 5] = [
        Kind::Push,
        Kind::Grasp,
        Kind::Carry,
        Kind::Drop,
        Kind::Nothing,
    ];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Push => "push",
            Kind::Grasp => "grasp",
            Kind::Carry => "carry",
            Kind::Drop => "drop",
            Kind::Nothing => "nothing",
        }
    }

    /// What these true states are, first to last; `None` for what is neither.
    pub(super) fn of(objects: &[([f64; 3], bool)]) -> Option<Self> {
        let (&(from, held), &(to, held_after)) = (objects.first()?, objects.last()?);
        let by = |axes: usize| (0..axes).fold(0.0, |m: f64, i| m.max((to[i] - from[i]).abs()));
        let all = |wanted: bool| objects.iter().all(|(_, held)| *held == wanted);
        match (held, held_after) {
            (false, true) => Some(Kind::Grasp),
            (true, false) => Some(Kind::Drop),
            (true, true) => (all(true) && by(3) > MOVED_M).then_some(Kind::Carry),
            (false, false) if !all(false) => None,
            (false, false) if by(2) > MOVED_M => Some(Kind::Push),
            (false, false) => (by(3) < STILL_M).then_some(Kind::Nothing),
        }
    }

    /// Axes a displacement of this kind counts along: a push those of the table's plane.
    fn axes(self) -> usize {
        match self {
            Kind::Push | Kind::Nothing => 2,
            _ => 3,
        }
    }
}

/// How far foreseen displacements are the true ones. Persistence, which foresees none, has 0 and 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fit {
    /// Projection on the true displacements: 1 is right, less is too short or aside.
    pub share: Option<Estimate>,
    /// 1 − squared error / squared displacement: 1 is right, 0 as good as foreseeing none.
    pub r2: Option<Estimate>,
}

/// Displacements of one kind, so many steps ahead.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Displacements {
    /// What happens.
    pub kind: Kind,
    /// Steps ahead.
    pub steps_ahead: usize,
    /// How often.
    pub count: usize,
    /// In how many scenes.
    pub scenes: usize,
    /// Mean true displacement, cm.
    pub mean_cm: f64,
    /// What the gauge reads from the latent that really came: what can be read at most.
    pub seen: Fit,
    /// What it reads from the imagined latent.
    pub foreseen: Fit,
    /// Mean L1 error of the imagined latent.
    pub l1: f64,
    /// The same of imagining no change.
    pub l1_persistence: f64,
}

/// How far objects that lie still move in the imagination, in the table's plane.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FalseMotion {
    /// Steps ahead.
    pub steps_ahead: usize,
    /// How often.
    pub count: usize,
    /// Mean displacement read from imagined latents, cm.
    pub foreseen_cm: Option<Estimate>,
    /// The gauge's own noise: the same from the latents that really came, cm.
    pub seen_cm: Option<Estimate>,
}

/// Every kind but nothing, every number of steps.
pub(super) fn displacements(samples: &[Sample], seed: u64) -> Vec<Displacements> {
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Nothing);
    let all = kinds.flat_map(|kind| (1..=super::most(samples)).map(move |steps| (kind, steps)));
    all.filter_map(|(kind, steps)| of_kind(samples, kind, steps, seed))
        .collect()
}

fn of_kind(samples: &[Sample], kind: Kind, steps: usize, seed: u64) -> Option<Displacements> {
    let axes = kind.axes();
    let dot = |a: &[f64; 3], b: &[f64; 3]| -> f64 { (0..axes).map(|i| a[i] * b[i]).sum() };
    let squared_error = |a: &[f64; 3], b: &[f64; 3]| {
        let d = std::array::from_fn(|i| a[i] - b[i]);
        dot(&d, &d)
    };
    let mut sums = Sums::new();
    for s in samples.iter().filter(|s| s.steps == steps) {
        let Some(object) = s.object.as_ref().filter(|o| o.kind == Some(kind)) else {
            continue;
        };
        let (truth, seen, foreseen) = (&object.truth, &object.seen, &object.foreseen);
        let numbers = [
            1.0,
            dot(truth, truth),
            dot(seen, truth),
            squared_error(seen, truth),
            dot(foreseen, truth),
            squared_error(foreseen, truth),
            dot(truth, truth).sqrt(),
            s.l1,
            s.l1_persistence,
        ];
        sums.add(s.scene, numbers);
    }
    let total = sums.total();
    let count = total[0];
    (count > 0.0).then(|| Displacements {
        kind,
        steps_ahead: steps,
        count: count as usize,
        scenes: sums.scenes(),
        mean_cm: 100.0 * total[6] / count,
        seen: Fit {
            share: sums.estimate(seed, |s| s[2] / s[1]),
            r2: sums.estimate(seed, |s| 1.0 - s[3] / s[1]),
        },
        foreseen: Fit {
            share: sums.estimate(seed, |s| s[4] / s[1]),
            r2: sums.estimate(seed, |s| 1.0 - s[5] / s[1]),
        },
        l1: total[7] / count,
        l1_persistence: total[8] / count,
    })
}

/// Every number of steps at which something lies still.
pub(super) fn false_motion(samples: &[Sample], seed: u64) -> Vec<FalseMotion> {
    let of_steps = |steps: usize| {
        let mut sums = Sums::new();
        for s in samples.iter().filter(|s| s.steps == steps) {
            if let Some(object) = s.object.as_ref().filter(|o| o.kind == Some(Kind::Nothing)) {
                let cm = |d: &[f64; 3]| 100.0 * d[0].hypot(d[1]);
                sums.add(s.scene, [1.0, cm(&object.foreseen), cm(&object.seen)]);
            }
        }
        let count = sums.total()[0];
        (count > 0.0).then(|| FalseMotion {
            steps_ahead: steps,
            count: count as usize,
            foreseen_cm: sums.estimate(seed, |s| s[1] / s[0]),
            seen_cm: sums.estimate(seed, |s| s[2] / s[0]),
        })
    };
    (1..=super::most(samples)).filter_map(of_steps).collect()
}
