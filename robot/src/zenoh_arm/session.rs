//! Whether the arm is there, ours and active; and starting it when it may be started.

use std::time::{Duration, Instant};

use franka_node::{CmdRequest, Kind, Phase};

use super::{ZenohArm, BETWEEN_CALLS};
use crate::arm::{Arm, ArmError, ArmResult};
use crate::frame_sync::STATE_TIMEOUT;
use crate::link::{self, Monitor, TimedState};

impl ZenohArm {
    /// A state in which the arm is active and ours, or why not.
    pub(super) fn active_state(&self) -> ArmResult<TimedState> {
        let state = self.sync.state()?;
        let arm = || self.config.arm.clone();
        match state.phase() {
            Some(Phase::Faulted) => return Err(ArmError::Faulted { arm: arm() }),
            _ if state.msg.client_id.get() != self.client_id => {
                return Err(ArmError::LeaseLost {
                    arm: arm(),
                    holder: state.msg.client_id.get(),
                })
            }
            Some(Phase::Active) => {}
            other => {
                return Err(ArmError::Stopped {
                    arm: arm(),
                    phase: other.map_or("unknown".into(), |p| p.to_string()),
                })
            }
        }
        if state.frozen() {
            return Err(ArmError::FrozenClock {
                arm: arm(),
                robot_time_ms: state.msg.robot_time_ms.get(),
            });
        }
        Ok(state)
    }

    /// Makes sure the arm is active. It is enabled when it was never started, when we stopped
    /// it, or when the node's watchdog stopped it because our own deadline had passed; an arm
    /// that someone else stopped stays stopped.
    pub(super) fn ensure_active(&mut self) -> ArmResult<TimedState> {
        match self.active_state() {
            Err(ArmError::Stopped { .. }) if self.may_enable || self.publisher.stopped_itself() => {
                self.enable()
            }
            other => other,
        }
    }

    /// Starts a session, forgetting what was commanded before it.
    pub(super) fn enable(&mut self) -> ArmResult<TimedState> {
        self.gate.forget();
        self.restart()
    }

    /// Starts a session.
    pub(super) fn restart(&mut self) -> ArmResult<TimedState> {
        self.publisher.disable();
        self.settled = None;
        self.refused_before = self.refused_targets();
        self.counting = false;
        let request = CmdRequest {
            mode: Some(Kind::Cartesian),
            ..CmdRequest::new(self.client_id)
        };
        link::request(&self.session, &self.config.arm, "enable", &request)?;
        // Older states may still show the session before.
        let enabled = Instant::now();
        let deadline = enabled + STATE_TIMEOUT;
        loop {
            let state = self.sync.state()?;
            if state.received > enabled && state.phase() == Some(Phase::Active) {
                self.counting = true;
                let start = state.target().unwrap_or(state.placement);
                self.session_start = state.placement;
                self.publisher.enable(start, Instant::now() + BETWEEN_CALLS);
                self.may_enable = false;
                return Ok(state);
            }
            if Instant::now() > deadline {
                return self.active_state();
            }
            let monitor = &self.sync.monitor;
            monitor.next_state(state.node_ns(), STATE_TIMEOUT);
        }
    }
}

/// Waits until the states show the lease that was just granted.
pub(super) fn wait_held(monitor: &Monitor, client_id: u32, after_ns: u64) {
    let deadline = Instant::now() + STATE_TIMEOUT;
    let mut seen_ns = after_ns;
    while Instant::now() < deadline {
        match monitor.next_state(seen_ns, Duration::from_millis(200)) {
            Some(state) if state.msg.client_id.get() == client_id => return,
            Some(state) => seen_ns = state.node_ns(),
            None => {}
        }
    }
}
