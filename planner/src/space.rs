//! Which components of an action are searched, how widely, and what may not vary.

use foresight_settings::Diagnostic;
use serde::{Deserialize, Serialize};

use crate::bounds::{RelativeBounds, WorkspaceBounds};
use crate::pose::{Action, Pose};

/// One of the seven components of an [`crate::Action`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// Translation along the base frame's x, m.
    X,
    /// Translation along the base frame's y, m.
    Y,
    /// Translation along the base frame's z, m.
    Z,
    /// Rotation about the base frame's x, rad.
    Rx,
    /// Rotation about the base frame's y, rad.
    Ry,
    /// Rotation about the base frame's z, rad.
    Rz,
    /// Change of the gripper's closedness.
    Gripper,
}

impl Component {
    /// All seven, in the order of an action's array.
    pub const ALL: [Component; 7] = [
        Component::X,
        Component::Y,
        Component::Z,
        Component::Rx,
        Component::Ry,
        Component::Rz,
        Component::Gripper,
    ];

    /// Its place in an action's array.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// One searched component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// Which.
    pub component: Component,
    /// Standard deviation of the first iteration's samples, in the component's unit.
    pub std: f64,
    /// Samples are clipped to ± this, in the component's unit.
    pub bound: f64,
}

impl Dimension {
    /// The bound in f32, rounded inwards: what is clipped to it passes a check against the
    /// bound itself.
    pub fn bound_f32(&self) -> f32 {
        let bound = self.bound as f32;
        if f64::from(bound) > self.bound {
            bound.next_down()
        } else {
            bound
        }
    }
}

/// The searched components, in the order in which noise is drawn for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSpace {
    /// At least one, no component twice.
    pub dimensions: Vec<Dimension>,
}

/// Standard deviation of the gripper's first samples in the released code.
const GRIPPER_STD: f64 = 1.0;
/// Clip of the gripper's samples in the released code.
const GRIPPER_BOUND: f64 = 0.75;

impl SearchSpace {
    /// The released code's space: xyz in a box of ± `box_m` with that as standard deviation,
    /// and the gripper.
    pub fn translation_and_gripper(box_m: f64) -> Self {
        use Component::{Gripper, X, Y, Z};
        SearchSpace::of(&[X, Y, Z, Gripper], box_m, 0.0)
    }

    /// The given components with the usual spreads: translations ± `box_m`, rotations
    /// ± `rotation_rad`, the gripper as released.
    pub fn of(components: &[Component], box_m: f64, rotation_rad: f64) -> Self {
        let dimension = |&component: &Component| {
            let (std, bound) = match component {
                Component::X | Component::Y | Component::Z => (box_m, box_m),
                Component::Rx | Component::Ry | Component::Rz => (rotation_rad, rotation_rad),
                Component::Gripper => (GRIPPER_STD, GRIPPER_BOUND),
            };
            Dimension {
                component,
                std,
                bound,
            }
        };
        SearchSpace {
            dimensions: components.iter().map(dimension).collect(),
        }
    }

    /// Whatever leaves nothing to search, something twice, or no spread; the path is `dimensions`.
    pub fn faults(&self) -> Vec<Diagnostic> {
        let fault = |what: String, remedy: &str| Diagnostic::new("dimensions", what, remedy);
        let mut faults = Vec::new();
        if self.dimensions.is_empty() {
            let remedy = "name at least one of x, y, z, rx, ry, rz, gripper";
            faults.push(fault("no dimension to search".into(), remedy));
        }
        for (i, d) in self.dimensions.iter().enumerate() {
            let name = d.component;
            if self.dimensions[..i].iter().any(|e| e.component == name) {
                let what = format!("dimension {name:?} is named twice");
                faults.push(fault(what, "name it once"));
            }
            if !(d.std.is_finite() && d.std > 0.0 && d.bound.is_finite() && d.bound > 0.0) {
                let what = format!("dimension {name:?} has std {} and bound {}", d.std, d.bound);
                faults.push(fault(what, "both must be positive"));
            }
        }
        faults
    }
}

/// What one decision may not vary.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Constraints {
    /// Components held at a value, by index: `axis` of the released code.
    pub fixed: [Option<f32>; 7],
    /// From this planning step on the gripper's change is 1 (close): `close_gripper` of the
    /// released code.
    pub close_gripper_from: Option<usize>,
    /// Actions left for the sub-goal pursued, this one included; no end when absent.
    pub steps_left: Option<usize>,
    /// How far the hand may go; anywhere when absent, as in the released code.
    pub bounds: Option<RelativeBounds>,
    /// What the hand will still do after the observation whatever is decided: the rest of an action
    /// under way. Decisions take effect at its end, and `bounds` are counted from there.
    pub committed: Option<Action>,
}

impl Constraints {
    /// With the gripper's change fixed at `change`.
    pub fn with_gripper(change: f32) -> Self {
        let mut constraints = Constraints::default();
        constraints.fixed[Component::Gripper.index()] = Some(change);
        constraints
    }

    /// With the hand kept inside `bounds`, where there are any, by plans that start at `pose`.
    pub fn within(self, bounds: impl Into<Option<WorkspaceBounds>>, pose: &Pose) -> Self {
        Constraints {
            bounds: bounds.into().map(|bounds| bounds.relative_to(pose)),
            ..self
        }
    }
}
