//! Gripper commands over zenoh, and the wait for them.

use std::time::{Duration, Instant};

use franka_node::{monotonic_ns, GripperKind, GripperMsg, GRIPPER_MOVING};
use zenoh::Wait;
use zerocopy::IntoBytes;

use super::ZenohArm;
use crate::arm::ArmResult;
use crate::gripper::GripperCommand;
use crate::link::{grasped, link_error};

/// How long the gripper's state may take to show a command.
const REACTION: Duration = Duration::from_millis(300);
/// Fingers closer than this hold nothing, m: the hand's own tolerance of a grasp.
const NOTHING_M: f64 = 0.005;

/// A command on its way.
pub(super) struct GripperCommandState {
    command: GripperCommand,
    sent: Instant,
    /// A grasp at the width where the fingers met something was sent after the first.
    regrasped: bool,
}

impl ZenohArm {
    /// Sends a command.
    pub(super) fn command_gripper(
        &mut self,
        command: GripperCommand,
    ) -> ArmResult<GripperCommandState> {
        Ok(GripperCommandState {
            command,
            sent: self.send_gripper(&command)?,
            regrasped: false,
        })
    }

    /// Whether the gripper has carried out its command, or had its time.
    ///
    /// The Franka Hand takes a grasp for successful, and keeps its force up, only when its
    /// fingers stop within 5 mm of the width asked for. Nobody knows the object's width
    /// beforehand, so closing fingers that stopped on something are told to grasp it at the
    /// width where they stopped.
    pub(super) fn gripper_done(&mut self, grip: &mut GripperCommandState) -> ArmResult<bool> {
        let elapsed = grip.sent.elapsed();
        if elapsed.as_secs_f64() > self.config.gripper.timeout_s {
            return Ok(true);
        }
        let Some((state, received)) = self.sync.monitor.gripper() else {
            return Ok(elapsed > REACTION);
        };
        let shown = (state.commanded.get() - grip.command.width_m).abs() < 1e-4;
        let over = received > grip.sent
            && state.flags & GRIPPER_MOVING == 0
            && (shown || elapsed > REACTION)
            && elapsed > Duration::from_millis(100);
        if !over {
            return Ok(false);
        }
        let width_m = state.width.get();
        let missed = grip.command.kind == GripperKind::Grasp
            && !grasped(&state)
            && width_m > grip.command.width_m + NOTHING_M;
        if missed && !grip.regrasped {
            tracing::debug!("fingers met something at {width_m:.4} m; grasping it there");
            let again = GripperCommand {
                width_m,
                ..grip.command
            };
            *grip = GripperCommandState {
                sent: self.send_gripper(&again)?,
                command: again,
                regrasped: true,
            };
            return Ok(false);
        }
        Ok(true)
    }

    fn send_gripper(&mut self, command: &GripperCommand) -> ArmResult<Instant> {
        let msg = GripperMsg::new(
            command.kind,
            self.client_id,
            self.gripper_sequence.advance(),
            monotonic_ns(),
            command.width_m,
            command.force_n,
        );
        self.gripper_target
            .put(msg.as_bytes())
            .wait()
            .map_err(|e| link_error("sending a gripper command", e))?;
        Ok(Instant::now())
    }
}
