//! The physics: table, object, hand and fingers in rapier.
//!
//! The hand is a kinematic body that goes where the arm says. The fingers are dynamic bodies on
//! prismatic joints with force-limited spring motors; everything else between them and the
//! object is contact and friction. Gravity doesn't pull on the fingers: a real hand's gears
//! carry them.

use foresight_kinematics::hand::{HAND_TO_FINGERS_M, STROKE_M};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use rapier3d::prelude::*;

use crate::gripper::{FINGER_DAMPING_N_S_M, FINGER_MASS_KG, FINGER_STIFFNESS_N_M, MAX_FORCE_N};
use crate::objects::{METAL_SURFACE, PAD_SURFACE, TABLE_SURFACE};
use crate::scene::Object;

/// The scale of things here, m: rapier's tolerances are multiples of it.
const LENGTH_UNIT_M: f32 = 0.02;
/// An object slower than twice this for half a second falls asleep: it stands still until something
/// touches it. So slow that no bit of its position changes; rapier's default is a hundred times as
/// much, at which things visibly creep.
const ASLEEP_M_S: f32 = 1e-5;
/// Substeps of a step, and passes over all contacts in each. Measured on 40 scripted grasps: with
/// these a held object slips 0.2 mm and tilts 0.02 rad on a 25 cm way; half of either doubles it.
const SOLVER_ITERATIONS: usize = 6;
const PGS_ITERATIONS: usize = 2;
const CONTACT_FREQUENCY_HZ: f32 = 300.0;

/// How far an object has slipped when it starts to, m.
const SLIP_START_M: f64 = 0.003;

/// The table top along x and y, m.
pub(crate) const TABLE_EXTENT_M: [[f64; 2]; 2] = [[-0.25, 0.95], [-0.6, 0.6]];

const TABLE_GROUP: Group = Group::GROUP_1;
const OBJECT_GROUP: Group = Group::GROUP_2;
const HAND_GROUP: Group = Group::GROUP_3;

/// Half extents and middles of the finger's parts in the left finger's frame, m: the rubber pad
/// and the metal above and behind it. The right finger is its mirror image in y.
const PAD: ([f32; 3], [f32; 3]) = ([0.0089, 0.0055, 0.009], [0.0, 0.0055, 0.045]);
const FINGER_PARTS: [([f32; 3], [f32; 3]); 2] = [
    ([0.0105, 0.0065, 0.018], [0.0, 0.0095, 0.018]),
    ([0.0105, 0.005, 0.0089], [0.0, 0.0155, 0.045]),
];

pub(crate) struct Physics {
    physics: PhysicsWorld,
    hand: RigidBodyHandle,
    fingers: [RigidBodyHandle; 2],
    joints: [ImpulseJointHandle; 2],
    object: RigidBodyHandle,
    others: Vec<(RigidBodyHandle, ColliderHandle)>,
    object_collider: ColliderHandle,
    table: ColliderHandle,
    pads: [ColliderHandle; 2],
}

impl Clone for Physics {
    /// Everything that carries over from step to step; rapier's pipelines are only workspace.
    fn clone(&self) -> Self {
        let from = &self.physics;
        Physics {
            physics: PhysicsWorld {
                gravity: from.gravity,
                integration_parameters: from.integration_parameters,
                islands: from.islands.clone(),
                broad_phase: from.broad_phase.clone(),
                narrow_phase: from.narrow_phase.clone(),
                bodies: from.bodies.clone(),
                colliders: from.colliders.clone(),
                impulse_joints: from.impulse_joints.clone(),
                multibody_joints: from.multibody_joints.clone(),
                soft_bodies: from.soft_bodies.clone(),
                ..PhysicsWorld::new()
            },
            others: self.others.clone(),
            ..*self
        }
    }
}

/// What touches the object.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Touch {
    pub pads: [bool; 2],
    pub gripper: bool,
    pub table: bool,
}

impl Physics {
    pub(crate) fn new(object: &Object, hand: &Isometry3<f64>, width_m: f64, dt_s: f64) -> Self {
        let mut physics = PhysicsWorld::new();
        physics.gravity = Vector::new(0.0, 0.0, -9.81);
        let parameters = &mut physics.integration_parameters;
        parameters.dt = dt_s as f32;
        parameters.length_unit = LENGTH_UNIT_M;
        parameters.num_solver_iterations = SOLVER_ITERATIONS;
        parameters.num_internal_pgs_iterations = PGS_ITERATIONS;
        parameters.friction_model = FrictionModel::Coulomb;
        // Without friction in the bias pass a grasped object creeps out of the pads.
        parameters.friction_in_bias_pass = true;
        // rapier's default of 30 Hz is soft enough for 30 N to press a pad millimetres into a
        // light object.
        parameters.contact_softness.natural_frequency = CONTACT_FREQUENCY_HZ;
        parameters.static_contact_softness.natural_frequency = CONTACT_FREQUENCY_HZ;

        let table = insert_table(&mut physics, object.friction_on(TABLE_SURFACE));
        let (hand_body, _) = physics.insert(
            RigidBodyBuilder::kinematic_position_based().pose(to_rapier(hand)),
            ColliderBuilder::cuboid(0.03, 0.1, 0.033)
                .translation(Vector::new(0.0, 0.0, 0.033))
                .friction(object.friction_on(METAL_SURFACE))
                .collision_groups(group(HAND_GROUP, OBJECT_GROUP)),
        );
        let (object_body, object_collider) = physics.insert(
            RigidBodyBuilder::dynamic().pose(to_rapier(&object.pose())),
            object
                .collider()
                .collision_groups(group(OBJECT_GROUP, TABLE_GROUP | HAND_GROUP)),
        );
        if let Some(body) = physics.bodies.get_mut(object_body) {
            body.activation_mut().normalized_linear_threshold = ASLEEP_M_S / LENGTH_UNIT_M;
        }
        let mut world = Physics {
            hand: hand_body,
            fingers: [RigidBodyHandle::invalid(); 2],
            joints: [ImpulseJointHandle::invalid(); 2],
            pads: [ColliderHandle::invalid(); 2],
            object: object_body,
            others: Vec::new(),
            object_collider,
            table,
            physics,
        };
        for side in 0..2 {
            world.insert_finger(side, hand, width_m / 2.0, object);
        }
        world
    }

    fn insert_finger(
        &mut self,
        side: usize,
        hand: &Isometry3<f64>,
        position_m: f64,
        object: &Object,
    ) {
        let sign = [1.0_f32, -1.0][side];
        let body = self.physics.insert_body(
            RigidBodyBuilder::dynamic()
                .pose(to_rapier(&finger_pose(hand, side, position_m)))
                .gravity_scale(0.0)
                .can_sleep(false)
                .additional_mass_properties(MassProperties::new(
                    Vector::new(0.0, sign * 0.01, 0.03),
                    FINGER_MASS_KG as f32,
                    Vector::splat(1.0e-4),
                )),
        );
        let mut part = |(half, middle): ([f32; 3], [f32; 3]), friction: f32| {
            self.physics.insert_collider(
                ColliderBuilder::cuboid(half[0], half[1], half[2])
                    .translation(Vector::new(middle[0], sign * middle[1], middle[2]))
                    .friction(friction)
                    .density(0.0)
                    .collision_groups(group(HAND_GROUP, OBJECT_GROUP)),
                Some(body),
            )
        };
        self.pads[side] = part(PAD, object.friction_on(PAD_SURFACE));
        for shape in FINGER_PARTS {
            part(shape, object.friction_on(METAL_SURFACE));
        }
        // The joint's x axis is the finger's opening direction.
        let turn = Rotation::from_rotation_z(sign * std::f32::consts::FRAC_PI_2);
        let seat = Vector::new(0.0, 0.0, HAND_TO_FINGERS_M as f32);
        let joint = GenericJointBuilder::new(JointAxesMask::LOCKED_PRISMATIC_AXES)
            .local_frame1(Pose::from_parts(seat, turn))
            .local_frame2(Pose::from_rotation(turn))
            .limits(JointAxis::LinX, [0.0, STROKE_M as f32 / 2.0])
            .motor_model(JointAxis::LinX, MotorModel::ForceBased)
            .motor_position(
                JointAxis::LinX,
                position_m as f32,
                FINGER_STIFFNESS_N_M as f32,
                FINGER_DAMPING_N_S_M as f32,
            )
            .motor_max_force(JointAxis::LinX, 2.0 * MAX_FORCE_N as f32)
            .contacts_enabled(false)
            .build();
        self.fingers[side] = body;
        self.joints[side] = self
            .physics
            .impulse_joints
            .insert(self.hand, body, joint, true);
    }

    /// One step: the hand moves to `hand`, the fingers are driven to `finger_m` from the middle.
    pub(crate) fn step(&mut self, hand: &Isometry3<f64>, finger_m: f64) {
        if let Some(body) = self.physics.bodies.get_mut(self.hand) {
            body.set_next_kinematic_position(to_rapier(hand));
        }
        for handle in self.joints {
            if let Some(joint) = self.physics.impulse_joints.get_mut(handle, false) {
                joint.data.set_motor_position(
                    JointAxis::LinX,
                    finger_m as f32,
                    FINGER_STIFFNESS_N_M as f32,
                    FINGER_DAMPING_N_S_M as f32,
                );
            }
        }
        self.physics.step();
    }

    /// Each finger's distance from the hand's middle, m, from where the bodies really are.
    pub(crate) fn finger_positions_m(&self) -> [f64; 2] {
        let hand = from_rapier(self.physics.bodies[self.hand].position());
        std::array::from_fn(|side| {
            let finger = from_rapier(self.physics.bodies[self.fingers[side]].position());
            let local = hand.inverse() * finger;
            [1.0, -1.0][side] * local.translation.y
        })
    }

    /// The finger frames in the base frame, for drawing.
    pub(crate) fn finger_poses(&self) -> [Isometry3<f64>; 2] {
        self.fingers
            .map(|f| from_rapier(self.physics.bodies[f].position()))
    }

    pub(crate) fn object_pose(&self) -> Isometry3<f64> {
        from_rapier(self.physics.bodies[self.object].position())
    }

    /// The object's lowest point, m.
    pub(crate) fn object_lowest_m(&self) -> f64 {
        f64::from(
            self.physics.colliders[self.object_collider]
                .compute_aabb()
                .mins
                .z,
        )
    }

    pub(crate) fn touch(&self) -> Touch {
        self.touch_of(self.object_collider)
    }

    fn touch_of(&self, object: ColliderHandle) -> Touch {
        let mut touch = Touch::default();
        for pair in self.physics.narrow_phase.contact_pairs_with(object) {
            if !pair.has_any_active_contact() || pair.total_impulse_magnitude() <= 0.0 {
                continue;
            }
            let other = if pair.collider1 == object {
                pair.collider2
            } else {
                pair.collider1
            };
            if other == self.table {
                touch.table = true;
                continue;
            }
            for side in 0..2 {
                touch.pads[side] |= other == self.pads[side];
            }
            let groups = self.physics.colliders[other].collision_groups();
            touch.gripper |= groups.memberships.intersects(HAND_GROUP);
        }
        touch
    }

    /// How deep the gripper squeezes the object into the table, m; 0 when it doesn't. Contacts
    /// are springs, so this stands for the force; the solver's impulses are too noisy for that.
    pub(crate) fn squeeze_m(&self) -> f64 {
        let depth = -self.object_lowest_m();
        // Deeper than this it is not squeezed, it lies over the table's edge.
        let plausible = depth > 0.0 && depth < 0.02;
        let touch = self.touch();
        if plausible && touch.gripper && touch.table {
            depth
        } else {
            0.0
        }
    }

    /// Puts hand and fingers somewhere without going there.
    pub(crate) fn teleport_hand(&mut self, hand: &Isometry3<f64>, width_m: f64) {
        if let Some(body) = self.physics.bodies.get_mut(self.hand) {
            body.set_position(to_rapier(hand), true);
            body.set_next_kinematic_position(to_rapier(hand));
        }
        for side in 0..2 {
            let pose = finger_pose(hand, side, width_m / 2.0);
            place(&mut self.physics.bodies, self.fingers[side], &pose);
        }
    }

    /// How rough the pads are.
    pub(crate) fn set_pad_friction(&mut self, friction: f32) {
        for pad in self.pads {
            if let Some(collider) = self.physics.colliders.get_mut(pad) {
                collider.set_friction(friction);
            }
        }
    }

    /// Contacts whose bodies don't move against each other keep the friction they had: what slips
    /// has to start.
    pub(crate) fn start_slipping(&mut self) {
        let mut pose = self.object_pose();
        pose.translation.z -= SLIP_START_M;
        self.teleport_object(&pose);
    }

    /// Another shape and mass for the object, where it is.
    pub(crate) fn swap_object(&mut self, object: &Object) {
        let new = object.collider().build();
        if let Some(collider) = self.physics.colliders.get_mut(self.object_collider) {
            collider.set_shape(new.shared_shape().clone());
            collider.set_density(object.density_kg_m3 as f32);
        }
    }

    /// Another object where it says, which meets table, hand and the other objects.
    pub(crate) fn add_object(&mut self, object: &Object) {
        self.insert_other(object, object.friction_on(TABLE_SURFACE));
    }

    /// One more of a scene's objects. Surfaces are as rough as `first`, the scene's first object,
    /// makes them: on the table this one has its own friction all the same.
    pub(crate) fn add_standing(&mut self, object: &Object, first: &Object) {
        let first = first.friction_on(TABLE_SURFACE).max(1e-3);
        let body = self.insert_other(object, object.friction_on(TABLE_SURFACE) / first);
        if let Some(body) = self.physics.bodies.get_mut(body) {
            body.activation_mut().normalized_linear_threshold = ASLEEP_M_S / LENGTH_UNIT_M;
        }
    }

    fn insert_other(&mut self, object: &Object, friction: f32) -> RigidBodyHandle {
        let member = OBJECT_GROUP | TABLE_GROUP;
        let other = self.physics.insert(
            RigidBodyBuilder::dynamic().pose(to_rapier(&object.pose())),
            object
                .collider()
                .friction(friction)
                .collision_groups(group(member, member | HAND_GROUP)),
        );
        self.others.push(other);
        other.0
    }

    /// Where the other objects are, and whether both pads press on them.
    pub(crate) fn others(&self) -> impl Iterator<Item = (Isometry3<f64>, bool)> + '_ {
        self.others.iter().map(|(body, collider)| {
            let pose = from_rapier(self.physics.bodies[*body].position());
            (pose, self.touch_of(*collider).pads == [true, true])
        })
    }

    /// Puts one of the other objects somewhere, at rest.
    pub(crate) fn teleport_other(&mut self, number: usize, pose: &Isometry3<f64>) {
        if let Some((body, collider)) = self.others.get(number).copied() {
            self.teleport(body, collider, pose);
        }
    }

    /// Puts the object somewhere, at rest.
    pub(crate) fn teleport_object(&mut self, pose: &Isometry3<f64>) {
        self.teleport(self.object, self.object_collider, pose);
    }

    fn teleport(&mut self, body: RigidBodyHandle, collider: ColliderHandle, pose: &Isometry3<f64>) {
        place(&mut self.physics.bodies, body, pose);
        let bodies = &self.physics.bodies;
        if let Some(collider) = self.physics.colliders.get_mut(collider) {
            collider.set_position(*bodies[body].position());
        }
    }
}

fn place(bodies: &mut RigidBodySet, handle: RigidBodyHandle, pose: &Isometry3<f64>) {
    if let Some(body) = bodies.get_mut(handle) {
        body.set_position(to_rapier(pose), true);
        body.set_linvel(Vector::ZERO, true);
        body.set_angvel(Vector::ZERO, true);
    }
}

fn insert_table(physics: &mut PhysicsWorld, friction: f32) -> ColliderHandle {
    let fixed = |half: Vector, middle: Vector| {
        ColliderBuilder::cuboid(half.x, half.y, half.z)
            .translation(middle)
            .friction(friction)
            .collision_groups(group(TABLE_GROUP, OBJECT_GROUP))
    };
    let [x, y] = TABLE_EXTENT_M;
    let half = |[low, high]: [f64; 2]| (high - low) as f32 / 2.0;
    let middle = |[low, high]: [f64; 2]| (high + low) as f32 / 2.0;
    let (_, table) = physics.insert(
        RigidBodyBuilder::fixed(),
        fixed(
            Vector::new(half(x), half(y), 0.05),
            Vector::new(middle(x), middle(y), -0.05),
        ),
    );
    // What falls off lands on the floor instead of falling for ever.
    physics.insert(
        RigidBodyBuilder::fixed(),
        fixed(Vector::new(5.0, 5.0, 0.1), Vector::new(0.0, 0.0, -0.85)),
    );
    table
}

fn group(member: Group, meets: Group) -> InteractionGroups {
    InteractionGroups::new(member, meets, InteractionTestMode::And)
}

/// The frame of a finger (0 left, along the hand's +y; 1 right) in the base frame. Both have the
/// hand's orientation.
pub(crate) fn finger_pose(hand: &Isometry3<f64>, side: usize, position_m: f64) -> Isometry3<f64> {
    hand * Translation3::new(0.0, [1.0, -1.0][side] * position_m, HAND_TO_FINGERS_M)
}

fn to_rapier(pose: &Isometry3<f64>) -> Pose {
    let (t, r) = (pose.translation, pose.rotation.coords);
    Pose::from_parts(
        Vector::new(t.x as f32, t.y as f32, t.z as f32),
        Rotation::from_xyzw(r.x as f32, r.y as f32, r.z as f32, r.w as f32).normalize(),
    )
}

fn from_rapier(pose: &Pose) -> Isometry3<f64> {
    let (t, r) = (pose.translation, pose.rotation);
    Isometry3::from_parts(
        Translation3::new(f64::from(t.x), f64::from(t.y), f64::from(t.z)),
        UnitQuaternion::from_quaternion(Quaternion::new(
            f64::from(r.w),
            f64::from(r.x),
            f64::from(r.y),
            f64::from(r.z),
        )),
    )
}

#[cfg(test)]
#[path = "../tests/unit/physics.rs"]
mod tests;
