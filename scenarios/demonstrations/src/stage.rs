//! What scripts are made of: what the demonstrator sees, where things are, and stages.

use foresight_planner::Pose;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// What the demonstrator sees before each action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DemonstratorView {
    /// Measured pose of the hand.
    pub(crate) pose: Pose,
    /// The object's centre in the base frame, m.
    pub(crate) object_m: [f64; 3],
    /// The object's turn about z, rad.
    pub(crate) object_yaw_rad: f64,
    /// Whether the object is between both fingers.
    pub(crate) held: bool,
}

/// The scene's geometry as far as a script needs it, base frame, m.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScriptGeometry {
    /// The standing object's extent along its own x, y and z.
    pub(crate) object_size_m: [f64; 3],
    /// Whether it is round about z.
    pub(crate) object_round: bool,
    /// Target's centre on the table.
    pub(crate) target_m: [f64; 2],
    /// Height of the hand's centre point for a grasp of the standing object.
    pub(crate) grasp_height_m: f64,
    /// Height from which to set out: the fingers clear the standing object.
    pub(crate) hover_height_m: f64,
    /// Lower corner of the box free points are drawn from.
    pub(crate) free_min_m: [f64; 3],
    /// Upper corner of the box free points are drawn from.
    pub(crate) free_max_m: [f64; 3],
    /// Lower corner of the box the hand may be in.
    pub(crate) box_min_m: [f64; 3],
    /// Upper corner of the box the hand may be in.
    pub(crate) box_max_m: [f64; 3],
}

impl ScriptGeometry {
    /// Whether a point of the table is in the box the hand may be in.
    pub(crate) fn holds(&self, at_m: [f64; 2]) -> bool {
        (0..2).all(|i| (self.box_min_m[i]..=self.box_max_m[i]).contains(&at_m[i]))
    }
}

/// Where a stage goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    /// Above the object, wherever it is now.
    Object,
    /// Above the target.
    Target,
    /// A fixed point.
    Point([f64; 2]),
}

/// One thing to do before the next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ScriptStage {
    /// Move until within `tolerance_m` on every axis.
    Go {
        anchor: Anchor,
        offset_m: [f64; 2],
        height_m: f64,
        tolerance_m: f64,
    },
    /// Move straight to a point, by a share of the stride an action.
    Line {
        to_m: [f64; 3],
        stride_share: f64,
        tolerance_m: f64,
    },
    /// Close until the object is held or the fingers meet.
    Close,
    /// Open wide.
    Open,
    /// Bring the gripper near a closedness.
    GripTo(f64),
    /// Start over when the object is not in the hand.
    RetryUnlessHeld,
    /// Stay, for one action.
    Stay,
}

/// To a point of the box, low points as often as high ones.
pub(crate) fn wander(
    site: &ScriptGeometry,
    view: &DemonstratorView,
    rng: &mut ChaCha8Rng,
) -> ScriptStage {
    let (min, max) = (site.free_min_m, site.free_max_m);
    let mut axis = |i: usize| rng.random_range(min[i]..=max[i]);
    let point = [axis(0), axis(1)];
    let mut height_m = axis(2);
    if view.held {
        height_m = height_m.max(site.grasp_height_m);
    }
    ScriptStage::Go {
        anchor: Anchor::Point(point),
        offset_m: [0.0; 2],
        height_m,
        tolerance_m: 0.02,
    }
}

/// A normal draw (Box–Muller), cut at three standard deviations.
pub(crate) fn normal(sigma: f64, rng: &mut ChaCha8Rng) -> f64 {
    let u: f64 = 1.0 - rng.random::<f64>();
    let v: f64 = rng.random();
    let z = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    sigma * z.clamp(-3.0, 3.0)
}
