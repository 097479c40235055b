//! Whether the arm is there, ours and active; and starting it when it may be started.

use std::time::{Duration, Instant};

use franka_node::{CmdRequest, Kind, Phase};

use super::{ZenohArm, BETWEEN_CALLS, FIRST_STATE_TIMEOUT};
use crate::arm::ArmError;
use crate::link::{self, Monitor, TimedState};

/// How long states may stay away before that is an error.
pub(super) const STATE_TIMEOUT: Duration = Duration::from_millis(1500);
/// A robot clock that shows the same time for this long while states arrive is frozen, ns.
const FROZEN_NS: u64 = 1_000_000_000;

impl ZenohArm {
    /// The newest state, not older than allowed.
    pub(super) fn state(&self) -> Result<TimedState, ArmError> {
        let newest = self.monitor.state();
        let age = newest.map_or(FIRST_STATE_TIMEOUT, |s| s.received.elapsed());
        newest
            .filter(|_| age <= STATE_TIMEOUT)
            .ok_or_else(|| ArmError::StaleState {
                arm: self.config.arm.clone(),
                age_ms: age.as_secs_f64() * 1e3,
            })
    }

    /// A state in which the arm is active and ours, or why not.
    pub(super) fn active_state(&self) -> Result<TimedState, ArmError> {
        let state = self.state()?;
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
        if let (Some(then), _) = self
            .monitor
            .around(state.node_ns().saturating_sub(FROZEN_NS))
        {
            let robot_time_ms = state.msg.robot_time_ms.get();
            if then.phase() == Some(Phase::Active)
                && state.node_ns() - then.node_ns() < 2 * FROZEN_NS
                && then.msg.robot_time_ms.get() == robot_time_ms
            {
                return Err(ArmError::FrozenClock {
                    arm: arm(),
                    robot_time_ms,
                });
            }
        }
        Ok(state)
    }

    /// Makes sure the arm is active. It is enabled when it was never started, when we stopped
    /// it, or when the node's watchdog stopped it because our own deadline had passed; an arm
    /// that someone else stopped stays stopped.
    pub(super) fn ensure_active(&mut self) -> Result<TimedState, ArmError> {
        match self.active_state() {
            Err(ArmError::Stopped { .. }) if self.may_enable || self.pump.lapsed() => self.enable(),
            other => other,
        }
    }

    pub(super) fn enable(&mut self) -> Result<TimedState, ArmError> {
        self.pump.disable();
        self.intent.forget();
        self.settled = None;
        if let Some(state) = self.monitor.state() {
            self.refused_before += state.msg.refused.get();
        }
        let request = CmdRequest {
            mode: Some(Kind::Cartesian),
            ..CmdRequest::new(self.client_id)
        };
        link::request(&self.session, &self.config.arm, "enable", &request)?;
        let deadline = Instant::now() + STATE_TIMEOUT;
        loop {
            let state = self.state()?;
            if state.phase() == Some(Phase::Active) {
                let start = state.target().unwrap_or(state.placement);
                self.pump.enable(start, Instant::now() + BETWEEN_CALLS);
                self.may_enable = false;
                return Ok(state);
            }
            if Instant::now() > deadline {
                return self.active_state();
            }
            self.monitor.next_state(state.node_ns(), STATE_TIMEOUT);
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
