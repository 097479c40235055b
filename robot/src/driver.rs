//! An arm under a lease for one command at a time: homing and the gripper, without a target
//! stream.

use std::time::{Duration, Instant};

use franka_node::{monotonic_ns, CmdRequest, GripperKind, GripperMsg, GRIPPER_MOVING};
use zenoh::Wait;
use zerocopy::IntoBytes;

use crate::arm::ArmResult;
use crate::link::{self, link_error, Lease};
use crate::viewer::Viewer;
use crate::zenoh_arm::ZenohArmConfig;
use foresight_kinematics::hand::STROKE_M;

/// How long the gripper may take.
const GRIPPER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long its state may take to show that it began.
const REACTION: Duration = Duration::from_millis(400);
/// The hand takes a grasp for successful when its fingers stop this near the width asked for, m.
const GRASP_EPSILON_M: f64 = 0.005;

/// The holder of an arm's lease; the lease goes back when it is dropped.
pub struct Driver {
    viewer: Viewer,
    lease: Lease,
    arm: String,
    client_id: u32,
    sequence: u64,
}

impl Driver {
    /// Connects and takes the lease.
    ///
    /// # Errors
    /// [`crate::ArmError`] when nobody answers or someone else holds the arm.
    pub fn acquire(config: &ZenohArmConfig) -> ArmResult<Self> {
        let viewer = Viewer::connect(config)?;
        let client_id = config.client_id();
        let lease = Lease::acquire(viewer.session(), &config.arm, client_id)?;
        Ok(Driver {
            viewer,
            lease,
            arm: config.arm.clone(),
            client_id,
            sequence: monotonic_ns(),
        })
    }

    /// Moves the joints to the ready pose at a fraction of their limits, 0.05 to 0.5; returns
    /// when they are there.
    ///
    /// # Errors
    /// [`crate::ArmError::Command`] when the arm doesn't get there or is stopped on the way.
    pub fn home(&self, speed: f64) -> ArmResult<()> {
        let request = CmdRequest {
            speed: Some(speed),
            ..CmdRequest::new(self.client_id)
        };
        link::request(self.viewer.session(), &self.arm, "home", &request)
    }

    /// Finds the gripper's stops: it closes and opens once.
    ///
    /// # Errors
    /// [`crate::ArmError::Command`] when there is no gripper or it fails.
    pub fn gripper_home(&self) -> ArmResult<()> {
        let session = self.viewer.session();
        link::command(session, &self.arm, "gripper_home", self.client_id)
    }

    /// Opens the gripper.
    ///
    /// # Errors
    /// [`crate::ArmError`] when the command can't be sent.
    pub fn gripper_open(&mut self) -> ArmResult<()> {
        self.send(GripperKind::Width, STROKE_M, 0.0)
    }

    /// Closes the gripper on what is between the fingers, pressing with `force_n`.
    ///
    /// # Errors
    /// [`crate::ArmError`] when the command can't be sent.
    pub fn gripper_close(&mut self, force_n: f64) -> ArmResult<()> {
        self.send(GripperKind::Grasp, 0.0, force_n)?;
        let (width_m, held) = self.gripper();
        if !held && width_m > GRASP_EPSILON_M {
            // A grasp is one only at the width asked for, and that is only known now.
            self.send(GripperKind::Grasp, width_m, force_n)?;
        }
        Ok(())
    }

    /// Width between the fingers, m, and whether they hold something.
    pub fn gripper(&self) -> (f64, bool) {
        self.viewer.monitor().width_and_grasp()
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// [`crate::ArmError`] when the node refuses.
    pub fn release(self) -> ArmResult<()> {
        self.lease.release()
    }

    /// Sends a command and waits until the fingers have come to rest.
    fn send(&mut self, kind: GripperKind, width_m: f64, force_n: f64) -> ArmResult<()> {
        self.sequence += 1;
        let msg = GripperMsg::new(
            kind,
            self.client_id,
            self.sequence,
            monotonic_ns(),
            width_m,
            force_n,
        );
        let key = format!("franka/{}/gripper/target", self.arm);
        self.viewer
            .session()
            .put(key, msg.as_bytes())
            .wait()
            .map_err(|e| link_error("sending a gripper command", e))?;
        let sent = Instant::now();
        while sent.elapsed() < GRIPPER_TIMEOUT {
            std::thread::sleep(Duration::from_millis(50));
            let still = self
                .viewer
                .monitor()
                .gripper()
                .is_some_and(|(g, at)| at > sent && g.flags & GRIPPER_MOVING == 0);
            if still && sent.elapsed() > REACTION {
                break;
            }
        }
        Ok(())
    }
}
