//! The arm: follows a target within speed and acceleration limits, like a Franka behind its node.
//!
//! In Cartesian mode position and orientation each follow the target with a speed proportional
//! to what is left near the end, the square-root braking curve further away, and never faster
//! than the limits; so the arm starts gently, lags behind a moving target, stops without
//! overshoot and ends exactly on the target. Inverse kinematics turns every tick into joints.
//! What the hand presses onto the table makes it give way upwards, as a compliant arm would: the
//! motion goes on, the hand stays above it.

use foresight_kinematics::hand::TIP_BELOW_TCP_M;
use foresight_kinematics::{Fr3, IkOptions, JOINT_VELOCITY_LIMITS_RAD_S};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

/// How fast the simulated arm moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmLimits {
    /// Speed of the TCP, m/s.
    pub speed_m_s: f64,
    /// Acceleration of the TCP, m/s².
    pub acceleration_m_s2: f64,
    /// Turning speed of the TCP, rad/s.
    pub angular_speed_rad_s: f64,
    /// Turning acceleration of the TCP, rad/s².
    pub angular_acceleration_rad_s2: f64,
    /// Speed of a joint in joint mode, rad/s.
    pub joint_speed_rad_s: f64,
    /// Acceleration of a joint in joint mode, rad/s².
    pub joint_acceleration_rad_s2: f64,
    /// Speed per distance left near the target, 1/s: the stiffness of the tracking.
    pub gain_per_s: f64,
}

impl Default for ArmLimits {
    fn default() -> Self {
        ArmLimits {
            speed_m_s: 0.35,
            acceleration_m_s2: 1.0,
            angular_speed_rad_s: 1.2,
            angular_acceleration_rad_s2: 4.0,
            joint_speed_rad_s: 1.0,
            joint_acceleration_rad_s2: 3.0,
            gain_per_s: 20.0,
        }
    }
}

/// What the arm reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmState {
    /// Joint angles, rad.
    pub q: [f64; 7],
    /// Joint speeds, rad/s.
    pub dq: [f64; 7],
    /// The TCP in the base frame.
    pub tcp: Isometry3<f64>,
    /// Speed of the TCP, m/s.
    pub tcp_speed_m_s: f64,
    /// The target followed: position in m, then quaternion xyzw.
    pub target: [f64; 7],
}

/// Below this distance (m or rad) and `SNAP_SPEED` the arm is on its target.
const SNAP: f64 = 5e-6;
const SNAP_SPEED: f64 = 1e-3;
/// The braking curve assumes this share of the acceleration, so that tracking never saturates.
const BRAKING_SHARE: f64 = 0.8;
/// How fast the elbow drifts to its posture, 1/s.
const POSTURE_RATE_PER_S: f64 = 8.0;
/// How fast the hand gives way for every time that it presses too hard again, m/s.
const YIELD_RATE_M_S: f64 = 4e-3;
/// How fast it sinks back when it presses on nothing any more, m/s.
const YIELD_RETURN_M_S: f64 = 2e-2;
/// The fastest it gives way, m/s.
const YIELD_SPEED_M_S: f64 = 0.1;
/// The arm stops where the joints can't follow the TCP any closer than this, m and rad.
const BLOCKED: f64 = 2e-3;
/// Fingertips stay this far above the table, m: an arm stops at a table it presses on.
const TIP_CLEARANCE_M: f64 = 0.001;
/// Half of a fingertip's extent across the opening direction, m.
const TIP_HALF_WIDTH_M: f64 = 0.0105;

#[derive(Debug, Clone, Copy)]
enum MotionTarget {
    Cartesian(Isometry3<f64>),
    Joints([f64; 7]),
}

/// The arm's motion.
#[derive(Debug, Clone)]
pub(crate) struct Arm {
    limits: ArmLimits,
    q: [f64; 7],
    dq: [f64; 7],
    /// Where the hand is.
    tcp: Isometry3<f64>,
    /// Where it would be if nothing were in its way below.
    nominal: Isometry3<f64>,
    /// How far up it gives way to what it presses on, m.
    yielded_m: f64,
    velocity: Vector3<f64>,
    angular_velocity: Vector3<f64>,
    target: MotionTarget,
    options: IkOptions,
}

impl Arm {
    pub(crate) fn new(fr3: &Fr3, q: [f64; 7], dt_s: f64) -> Self {
        let tcp = fr3.tcp_pose(&q);
        Arm {
            limits: ArmLimits::default(),
            q,
            dq: [0.0; 7],
            tcp,
            nominal: tcp,
            yielded_m: 0.0,
            velocity: Vector3::zeros(),
            angular_velocity: Vector3::zeros(),
            target: MotionTarget::Cartesian(tcp),
            options: IkOptions {
                posture_gain: POSTURE_RATE_PER_S * dt_s,
                ..IkOptions::default()
            },
        }
    }

    pub(crate) fn q(&self) -> &[f64; 7] {
        &self.q
    }

    pub(crate) fn tcp(&self) -> &Isometry3<f64> {
        &self.tcp
    }

    pub(crate) fn set_cartesian(&mut self, target: Isometry3<f64>) {
        let new = match &self.target {
            MotionTarget::Cartesian(old) => {
                (old.translation.vector - target.translation.vector).norm() > 1e-6
                    || old.rotation.angle_to(&target.rotation) > 1e-6
            }
            MotionTarget::Joints(_) => true,
        };
        if new && self.yielded_m > 0.0 {
            // A new motion starts where the hand is, not where it failed to go.
            self.nominal = self.tcp;
            self.yielded_m = 0.0;
        }
        self.target = MotionTarget::Cartesian(target);
    }

    pub(crate) fn set_joints(&mut self, mut q: [f64; 7]) {
        for (angle, (low, high)) in q.iter_mut().zip(Fr3::limits()) {
            *angle = angle.clamp(
                low + self.options.limit_margin_rad,
                high - self.options.limit_margin_rad,
            );
        }
        self.target = MotionTarget::Joints(q);
    }

    /// Brakes as hard as the limits allow and stays there.
    pub(crate) fn hold(&mut self) {
        let stop = |v: &Vector3<f64>, a: f64| v * (v.norm() / (2.0 * BRAKING_SHARE * a));
        let p =
            self.nominal.translation.vector + stop(&self.velocity, self.limits.acceleration_m_s2);
        let turn = stop(
            &self.angular_velocity,
            self.limits.angular_acceleration_rad_s2,
        );
        self.target = MotionTarget::Cartesian(Isometry3::from_parts(
            Translation3::from(p),
            UnitQuaternion::from_scaled_axis(turn) * self.nominal.rotation,
        ));
    }

    pub(crate) fn state(&self, fr3: &Fr3) -> ArmState {
        let target = match &self.target {
            MotionTarget::Cartesian(pose) => *pose,
            MotionTarget::Joints(q) => fr3.tcp_pose(q),
        };
        let (t, r) = (target.translation, target.rotation.coords);
        ArmState {
            q: self.q,
            dq: self.dq,
            tcp: self.tcp,
            tcp_speed_m_s: self.velocity.norm(),
            target: [t.x, t.y, t.z, r.x, r.y, r.z, r.w],
        }
    }

    /// One tick. `finger_m` is each finger's distance from the middle, for the table's sake;
    /// `press` says how hard the hand presses something onto the table, as a share of
    /// what it may.
    pub(crate) fn advance(&mut self, fr3: &Fr3, finger_m: f64, press: f64, dt_s: f64) {
        match self.target {
            MotionTarget::Cartesian(target) => {
                self.advance_cartesian(fr3, &target, finger_m, press, dt_s);
            }
            MotionTarget::Joints(target) => {
                self.advance_joints(fr3, &target, finger_m, press, dt_s)
            }
        }
    }

    fn advance_cartesian(
        &mut self,
        fr3: &Fr3,
        target: &Isometry3<f64>,
        finger_m: f64,
        press: f64,
        dt_s: f64,
    ) {
        let limits = &self.limits;
        let mut goal = target.translation.vector;
        goal.z = goal.z.max(lowest_tcp_m(&target.rotation, finger_m));
        let error = goal - self.nominal.translation.vector;
        let turn = (target.rotation * self.nominal.rotation.inverse()).scaled_axis();
        let (velocity, arrived) = follow(
            &error,
            &self.velocity,
            limits.speed_m_s,
            limits.acceleration_m_s2,
            limits.gain_per_s,
            dt_s,
        );
        let (angular_velocity, turned) = follow(
            &turn,
            &self.angular_velocity,
            limits.angular_speed_rad_s,
            limits.angular_acceleration_rad_s2,
            limits.gain_per_s,
            dt_s,
        );
        let yielding = press > 1.0 || self.yielded_m > 0.0;
        if arrived && turned && !yielding && self.dq.iter().all(|d| d.abs() < 1e-7) {
            (self.velocity, self.angular_velocity) = (velocity, angular_velocity);
            self.dq = [0.0; 7];
            return;
        }
        let nominal = Isometry3::from_parts(
            Translation3::from(if arrived {
                goal
            } else {
                self.nominal.translation.vector + velocity * dt_s
            }),
            if turned {
                target.rotation
            } else {
                let step = UnitQuaternion::from_scaled_axis(angular_velocity * dt_s);
                UnitQuaternion::new_normalize((step * self.nominal.rotation).into_inner())
            },
        );
        if yielding {
            let rate = if press > 0.0 {
                ((press - 1.0) * YIELD_RATE_M_S).min(YIELD_SPEED_M_S)
            } else {
                -YIELD_RETURN_M_S
            };
            let lowest = self.tcp.translation.z + rate * dt_s;
            self.yielded_m = (lowest - nominal.translation.z).max(0.0);
        }
        let mut next = nominal;
        next.translation.z += self.yielded_m;
        let (first, _, _) = fr3.ik_step(&next, &self.q, &self.options);
        let (second, _, _) = fr3.ik_step(&next, &first, &self.options);
        let q = within_joint_speeds(&self.q, second, dt_s);
        let reached = fr3.tcp_pose(&q);
        let off_m = (reached.translation.vector - next.translation.vector).norm();
        let off_rad = reached.rotation.angle_to(&next.rotation);
        self.dq = std::array::from_fn(|i| (q[i] - self.q[i]) / dt_s);
        self.q = q;
        if off_m > BLOCKED || off_rad > BLOCKED {
            // The joints can't follow: the hand is where they are, and has to start again.
            (self.tcp, self.nominal, self.yielded_m) = (reached, reached, 0.0);
            self.velocity = Vector3::zeros();
            self.angular_velocity = Vector3::zeros();
        } else {
            (self.tcp, self.nominal) = (next, nominal);
            (self.velocity, self.angular_velocity) = (velocity, angular_velocity);
        }
    }

    fn advance_joints(
        &mut self,
        fr3: &Fr3,
        target: &[f64; 7],
        finger_m: f64,
        press: f64,
        dt_s: f64,
    ) {
        let limits = &self.limits;
        let mut q = self.q;
        let mut dq = self.dq;
        for i in 0..7 {
            let error = Vector3::new(target[i] - q[i], 0.0, 0.0);
            let (speed, arrived) = follow(
                &error,
                &Vector3::new(dq[i], 0.0, 0.0),
                limits.joint_speed_rad_s.min(JOINT_VELOCITY_LIMITS_RAD_S[i]),
                limits.joint_acceleration_rad_s2,
                limits.gain_per_s,
                dt_s,
            );
            dq[i] = speed.x;
            q[i] = if arrived {
                target[i]
            } else {
                q[i] + speed.x * dt_s
            };
        }
        let tcp = fr3.tcp_pose(&q);
        let into_table = tcp.translation.z < lowest_tcp_m(&tcp.rotation, finger_m);
        let deeper = press > 1.0 && tcp.translation.z < self.tcp.translation.z;
        if into_table || deeper {
            // Stops dead: what a contact does.
            self.velocity = Vector3::zeros();
            self.angular_velocity = Vector3::zeros();
            self.dq = [0.0; 7];
            return;
        }
        self.velocity = (tcp.translation.vector - self.tcp.translation.vector) / dt_s;
        self.angular_velocity = (tcp.rotation * self.tcp.rotation.inverse()).scaled_axis() / dt_s;
        (self.q, self.dq) = (q, dq);
        (self.tcp, self.nominal, self.yielded_m) = (tcp, tcp, 0.0);
    }
}

/// The next velocity on the way along `error`, and whether the target is reached.
fn follow(
    error: &Vector3<f64>,
    velocity: &Vector3<f64>,
    top_speed: f64,
    acceleration: f64,
    gain: f64,
    dt_s: f64,
) -> (Vector3<f64>, bool) {
    let distance = error.norm();
    if distance <= SNAP && velocity.norm() <= SNAP_SPEED {
        return (Vector3::zeros(), true);
    }
    let brake = acceleration * BRAKING_SHARE;
    // The curve v² = 2a(d − d₀) meets v = gain·d tangentially at d = a/gain².
    let knee = brake / (gain * gain);
    let speed = if distance <= knee {
        gain * distance
    } else {
        (2.0 * brake * (distance - knee / 2.0)).sqrt()
    };
    let wanted = if distance > 0.0 {
        error * (speed.min(top_speed) / distance)
    } else {
        Vector3::zeros()
    };
    let change = wanted - velocity;
    let most = acceleration * dt_s;
    let change = if change.norm() > most {
        change * (most / change.norm())
    } else {
        change
    };
    (velocity + change, false)
}

fn within_joint_speeds(from: &[f64; 7], to: [f64; 7], dt_s: f64) -> [f64; 7] {
    let mut share = 1.0_f64;
    for i in 0..7 {
        let most = JOINT_VELOCITY_LIMITS_RAD_S[i] * dt_s;
        let step = (to[i] - from[i]).abs();
        if step > most {
            share = share.min(most / step);
        }
    }
    std::array::from_fn(|i| from[i] + share * (to[i] - from[i]))
}

/// The lowest the TCP may be, in a given orientation, for the fingertips to clear the table.
fn lowest_tcp_m(rotation: &UnitQuaternion<f64>, finger_m: f64) -> f64 {
    let up = rotation.inverse() * Vector3::z();
    let across = TIP_HALF_WIDTH_M * up.x.abs() + (finger_m + 0.02) * up.y.abs();
    TIP_CLEARANCE_M + across + TIP_BELOW_TCP_M * (-up.z)
}
