//! The simulator: arm, hand, physics and camera on one clock.

use foresight_kinematics::hand::{closedness, width_m, FLANGE_TO_TCP_M, STROKE_M};
use foresight_kinematics::{Fr3, IkError, IkOptions, KinematicsError, READY};
use foresight_planner::Pose;
use image::RgbImage;
use nalgebra::{Isometry3, Translation3, Vector3};

use crate::arm::{Arm, ArmState};
use crate::goals::{GoalState, ObjectPose};
use crate::gripper::{Drive, GripperState, MOVE_FORCE_N};
use crate::ground_truth::{GroundTruth, OtherObject};
use crate::objects::PAD_SURFACE;
use crate::physics::{Physics, Touch};
use crate::render;
use crate::scene::{Object, Scene};
use crate::snapshot::Snapshot;

/// Why a simulator could not be set up or posed.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The arm's model could not be read.
    #[error(transparent)]
    Kinematics(#[from] KinematicsError),
    /// The robot's meshes could not be read.
    #[error("simulator: the robot's meshes in franka-description can't be read: {0}; its version probably does not fit this program")]
    Meshes(&'static str),
    /// The arm can't take the pose asked for.
    #[error("simulator: {what}: {source}")]
    Unreachable {
        /// Which pose.
        what: &'static str,
        /// What inverse kinematics says.
        source: IkError,
    },
    /// A number in the scene or pose is not usable.
    #[error("simulator: {what} is {value}; {remedy}")]
    Invalid {
        /// Which quantity.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it should be.
        remedy: &'static str,
    },
}

/// Force of a grasp that nobody specified, N.
pub(crate) const DEFAULT_GRASP_FORCE_N: f64 = 30.0;

/// The width changes faster than this while the fingers are on their way, m/s.
const MOVING_FINGERS_M_S: f64 = 2e-3;
/// The arm gives way when it squeezes the object deeper into the table than this, m.
const SQUEEZE_M: f64 = 4e-4;

/// A running simulation of one scene.
///
/// A clone goes on from here on its own, with the same bits: what a planner that imagines with
/// the true dynamics needs.
#[derive(Clone)]
pub struct Simulator {
    scene: Scene,
    fr3: Fr3,
    arm: Arm,
    drive: Drive,
    physics: Physics,
    props: render::Props,
    /// Width and object a step ago: speeds are differences of positions, because the solver's
    /// own velocities still hold the part that only pushes bodies apart.
    before: (f64, Isometry3<f64>),
    steps: u64,
    object_gone: bool,
    lens_covered: bool,
    /// The step from which pads grip again.
    slippery_until: Option<u64>,
}

impl Simulator {
    /// Length of a physics step, s.
    pub const STEP_S: f64 = 0.002;

    /// Sets the scene up: the object stands on the table, the hand is at the scene's start.
    ///
    /// # Errors
    /// [`SimError`] when the start pose is out of the arm's reach or the scene holds numbers that
    /// make no sense.
    pub fn new(scene: &Scene) -> Result<Self, SimError> {
        check(scene)?;
        let fr3 = Fr3::new()?;
        let q = solve(&fr3, &scene.start.pose().isometry(), "the start pose")?;
        let width = width_m(scene.start.gripper);
        let arm = Arm::new(&fr3, q, Self::STEP_S);
        let mut physics = Physics::new(&scene.object, &hand_of(arm.tcp()), width, Self::STEP_S);
        for other in &scene.others {
            physics.add_standing(other, &scene.object);
        }
        let before = (width, physics.object_pose());
        Ok(Simulator {
            scene: scene.clone(),
            before,
            fr3,
            arm,
            drive: Drive::new(width),
            physics,
            props: render::Props::new(scene).map_err(SimError::Meshes)?,
            steps: 0,
            object_gone: false,
            lens_covered: false,
            slippery_until: None,
        })
    }

    /// Whether the arm can take poses of its TCP.
    ///
    /// # Errors
    /// [`SimError::Unreachable`] for the first that it can't.
    pub fn check_reach(poses: &[Pose]) -> Result<(), SimError> {
        let fr3 = Fr3::new()?;
        let mut poses = poses.iter();
        poses.try_for_each(|pose| solve(&fr3, &pose.isometry(), "a pose").map(drop))
    }

    /// The scene this started from.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The virtual clock, s.
    pub fn time_s(&self) -> f64 {
        self.steps as f64 * Self::STEP_S
    }

    /// Advances everything by [`Simulator::STEP_S`].
    pub fn step(&mut self) {
        if self.slippery_until.is_some_and(|end| self.steps >= end) {
            self.slippery_until = None;
            let grip = self.scene.object.friction_on(PAD_SURFACE);
            self.physics.set_pad_friction(grip);
        }
        let [left, right] = self.physics.finger_positions_m();
        let width = left + right;
        self.before = (width, self.physics.object_pose());
        let press = self.physics.squeeze_m() / SQUEEZE_M;
        self.arm
            .advance(&self.fr3, width / 2.0, press, Self::STEP_S);
        let finger = self.drive.advance(width, Self::STEP_S);
        self.physics.step(&hand_of(self.arm.tcp()), finger);
        self.steps += 1;
    }

    /// Advances by at least `seconds`, in whole steps.
    pub fn advance(&mut self, seconds: f64) {
        let steps = (seconds / Self::STEP_S - 1e-9).ceil().max(0.0) as u64;
        for _ in 0..steps {
            self.step();
        }
    }

    /// Follows this TCP pose, in the base frame, from now on.
    pub fn set_cartesian_target(&mut self, tcp: Isometry3<f64>) {
        self.arm.set_cartesian(tcp);
    }

    /// Goes to these joint angles, rad, kept within their limits.
    pub fn set_joint_target(&mut self, q: [f64; 7]) {
        if q.iter().all(|angle| angle.is_finite()) {
            self.arm.set_joints(q);
        }
    }

    /// Brakes and stays.
    pub fn hold(&mut self) {
        self.arm.hold();
    }

    /// Opens or closes to a width in m, with little force.
    pub fn gripper_move(&mut self, width_m: f64) {
        if width_m.is_finite() {
            self.drive.command(width_m, MOVE_FORCE_N, false);
        }
    }

    /// Closes to a width in m, pressing with a force in N on what is in between.
    pub fn gripper_grasp(&mut self, width_m: f64, force_n: f64) {
        if width_m.is_finite() && force_n.is_finite() {
            self.drive.command(width_m, force_n, true);
        }
    }

    /// Stops the fingers where they are.
    pub fn gripper_stop(&mut self) {
        let [left, right] = self.physics.finger_positions_m();
        self.drive.command(left + right, MOVE_FORCE_N, false);
    }

    /// What the arm reports.
    pub fn arm(&self) -> ArmState {
        self.arm.state(&self.fr3)
    }

    /// The hand's pose and closedness in the planner's vocabulary.
    pub fn pose(&self) -> Pose {
        Pose::from_isometry(self.arm.tcp(), closedness(self.gripper().width_m))
    }

    /// What the hand reports.
    pub fn gripper(&self) -> GripperState {
        let [left, right] = self.physics.finger_positions_m();
        let speed = (left + right - self.before.0) / Self::STEP_S;
        let moving = speed.abs() > MOVING_FINGERS_M_S;
        let width_m = (left + right).clamp(0.0, STROKE_M);
        let Touch { pads, .. } = self.physics.touch();
        GripperState {
            width_m,
            commanded_m: self.drive.commanded_m,
            max_width_m: STROKE_M,
            moving,
            grasped: self.drive.grasping && !moving && pads == [true, true],
        }
    }

    /// What really happened.
    pub fn truth(&self) -> GroundTruth {
        let object = self.physics.object_pose();
        let before = &self.before.1;
        let speed = (object.translation.vector - before.translation.vector).norm() / Self::STEP_S;
        let turn = object.rotation * before.rotation.inverse();
        let angular_speed = turn.scaled_axis().norm() / Self::STEP_S;
        let touch = self.physics.touch();
        let up = object.rotation * Vector3::z();
        let tilt_rad = up.z.clamp(-1.0, 1.0).acos();
        let height = self.physics.object_lowest_m();
        let position = object.translation.vector;
        let [x, y] = self.scene.target.position_m;
        GroundTruth {
            time_s: self.time_s(),
            object_position_m: position.into(),
            object_quaternion_xyzw: object.rotation.coords.into(),
            object_speed_m_s: speed,
            object_angular_speed_rad_s: angular_speed,
            object_height_m: height,
            tilt_rad,
            upright: tilt_rad < GroundTruth::UPRIGHT_TILT_RAD,
            held: touch.pads == [true, true],
            lifted: height > GroundTruth::LIFTED_HEIGHT_M,
            touching_gripper: touch.gripper,
            on_table: touch.table,
            at_rest: speed < GroundTruth::REST_SPEED_M_S
                && angular_speed < GroundTruth::REST_ANGULAR_SPEED_RAD_S,
            target_distance_m: (position.x - x).hypot(position.y - y),
            hand_distance_m: (position - self.arm.tcp().translation.vector).norm(),
            others: self.others(),
        }
    }

    /// What became of the scene's other objects.
    fn others(&self) -> Vec<OtherObject> {
        let others = self.scene.others.iter().zip(self.physics.others());
        let other = |(object, (pose, held)): (&Object, (Isometry3<f64>, bool))| {
            let ([x, y], at) = (object.position_m, pose.translation.vector);
            OtherObject {
                name: object.name(),
                position_m: at.into(),
                quaternion_xyzw: pose.rotation.coords.into(),
                moved_m: (at.x - x).hypot(at.y - y),
                held,
            }
        };
        others.map(other).collect()
    }

    /// Draws what the camera sees, sRGB, `width` × `height` pixels.
    pub fn render(&self, width: u32, height: u32) -> RgbImage {
        self.snapshot().render(width, height)
    }

    /// Like [`Simulator::render_smooth`] for people: every camera's picture `side_px` wide and high, from
    /// 4 samples a pixel.
    pub fn render_view(&self, side_px: u32) -> RgbImage {
        let cameras = self.scene.cameras().count() as u32;
        self.render_smooth(side_px * cameras, side_px, 2)
    }

    /// Like [`Simulator::render`] from `factor`² samples a pixel: smooth edges for people.
    pub fn render_smooth(&self, width: u32, height: u32, factor: u32) -> RgbImage {
        self.snapshot().render_smooth(width, height, factor)
    }

    /// What the camera sees now, to be drawn later or elsewhere while this goes on.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            scene: self.scene.clone(),
            props: self.props.clone(),
            arm: self.fr3.link_poses(self.arm.q()),
            fingers: self.physics.finger_poses(),
            object: (!self.object_gone).then(|| self.physics.object_pose()),
            others: self.physics.others().map(|(pose, _)| pose).collect(),
            lens_covered: self.lens_covered,
        }
    }

    pub(crate) fn scene_mut(&mut self) -> &mut Scene {
        &mut self.scene
    }

    pub(crate) fn grease_pads(&mut self, seconds: f64) {
        self.physics.set_pad_friction(0.0);
        self.physics.start_slipping();
        self.slippery_until = Some(self.steps + (seconds / Self::STEP_S) as u64);
    }

    /// Out of sight and reach, on the floor.
    pub(crate) fn remove_object(&mut self) -> Result<(), SimError> {
        self.object_gone = true;
        self.set_object(&ObjectPose::upright([-3.0, 3.0, -0.7], 0.0))
    }

    pub(crate) fn swap_object(&mut self, object: &Object) {
        self.physics.swap_object(object);
        self.props.swap(object);
        self.scene.object = Object {
            position_m: self.scene.object.position_m,
            yaw_rad: self.scene.object.yaw_rad,
            ..object.clone()
        };
    }

    pub(crate) fn add_object(&mut self, object: &Object) {
        self.physics.add_object(object);
        self.props.add(object);
    }

    pub(crate) fn cover_lens(&mut self) {
        self.lens_covered = true;
    }

    pub(crate) fn block_gripper(&mut self) {
        let [left, right] = self.physics.finger_positions_m();
        self.drive.block(left + right);
    }

    /// Puts the arm at joint angles `q`, rad, and the fingers `width_m` apart, all at rest: for
    /// showing an arm that is moved elsewhere. Numbers that are not finite are ignored.
    pub fn set_arm(&mut self, q: [f64; 7], width_m: f64) {
        if !width_m.is_finite() || q.iter().any(|angle| !angle.is_finite()) {
            return;
        }
        let width = width_m.clamp(0.0, STROKE_M);
        self.arm = Arm::new(&self.fr3, q, Self::STEP_S);
        self.drive = Drive::new(width);
        self.physics.teleport_hand(&hand_of(self.arm.tcp()), width);
        self.before = (width, self.physics.object_pose());
    }

    /// Puts the object somewhere, at rest.
    ///
    /// # Errors
    /// [`SimError::Invalid`] for numbers that are not a pose.
    pub fn set_object(&mut self, pose: &ObjectPose) -> Result<(), SimError> {
        self.physics.teleport_object(&object_isometry(pose)?);
        self.before.1 = self.physics.object_pose();
        Ok(())
    }

    /// Poses arm, gripper and object as `goal` says, everything at rest.
    ///
    /// # Errors
    /// [`SimError::Unreachable`] when the arm can't take the pose.
    pub fn set_goal_state(&mut self, goal: &GoalState) -> Result<(), SimError> {
        let q = solve(&self.fr3, &goal.arm.isometry(), "the goal pose")?;
        let width = width_m(goal.arm.gripper);
        self.arm = Arm::new(&self.fr3, q, Self::STEP_S);
        self.drive = if goal.grasping {
            Drive::pressing(width, DEFAULT_GRASP_FORCE_N)
        } else {
            Drive::new(width)
        };
        self.physics.teleport_hand(&hand_of(self.arm.tcp()), width);
        if let Some(object) = &goal.object {
            let pose = object_isometry(object)?;
            self.physics.teleport_object(&pose);
        }
        for (number, other) in goal.others.iter().enumerate() {
            if let Some(other) = other {
                self.physics
                    .teleport_other(number, &object_isometry(other)?);
            }
        }
        self.before = (width, self.physics.object_pose());
        Ok(())
    }
}

fn check(scene: &Scene) -> Result<(), SimError> {
    let objects = scene.objects().flat_map(|object| {
        [
            ("the object's size along x, m,", object.size_m[0]),
            ("the object's size along y, m,", object.size_m[1]),
            ("the object's height, m,", object.size_m[2]),
            ("the object's density, kg/m³,", object.density_kg_m3),
        ]
    });
    let targets = scene
        .targets()
        .map(|t| ("the target's radius, m,", t.radius_m));
    let positive = [(
        "the length of the light's direction",
        Vector3::from(scene.light.towards).norm(),
    )];
    let cameras = scene.cameras().flat_map(|camera| {
        let away = Vector3::from(camera.eye_m) - Vector3::from(camera.look_at_m);
        [
            ("a camera's field of view, rad,", camera.fov_rad),
            ("a camera's distance from what it looks at, m,", away.norm()),
        ]
    });
    for (what, value) in objects.chain(targets).chain(positive).chain(cameras) {
        if !(value > 1e-6 && value < 1e6) {
            return Err(SimError::Invalid {
                what,
                value,
                remedy: "it must be a positive number",
            });
        }
    }
    let objects = scene.objects().flat_map(|object| {
        [
            ("the object's x, m,", object.position_m[0]),
            ("the object's y, m,", object.position_m[1]),
            ("the object's yaw, rad,", object.yaw_rad),
        ]
    });
    let targets = scene.targets().flat_map(|target| {
        [
            ("the target's x, m,", target.position_m[0]),
            ("the target's y, m,", target.position_m[1]),
        ]
    });
    let start = [("the start's gripper closedness", scene.start.gripper)];
    for (what, value) in objects.chain(targets).chain(start) {
        if value.is_nan() || value.abs() > 100.0 {
            return Err(SimError::Invalid {
                what,
                value,
                remedy: "it must be a small finite number",
            });
        }
    }
    Ok(())
}

fn solve(fr3: &Fr3, tcp: &Isometry3<f64>, what: &'static str) -> Result<[f64; 7], SimError> {
    fr3.solve_ik(tcp, &READY, &IkOptions::default())
        .map_err(|source| SimError::Unreachable { what, source })
}

/// The hand frame that belongs to a TCP.
fn hand_of(tcp: &Isometry3<f64>) -> Isometry3<f64> {
    tcp * Translation3::new(0.0, 0.0, -FLANGE_TO_TCP_M)
}

fn object_isometry(pose: &ObjectPose) -> Result<Isometry3<f64>, SimError> {
    pose.isometry().ok_or(SimError::Invalid {
        what: "the norm of the object's quaternion",
        value: pose
            .quaternion_xyzw
            .iter()
            .map(|c| c * c)
            .sum::<f64>()
            .sqrt(),
        remedy: "give a finite position and a unit quaternion xyzw",
    })
}
