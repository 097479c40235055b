//! The node, its robot and its lease.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use franka_node::{Phase, FLAG_HOLDING, GRIPPER_CALIBRATED, GRIPPER_FAULT, STATE_SIZE, VERSION};
use serde_json::Value;
use zenoh::sample::Sample;
use zenoh::Wait;

use super::Check;
use crate::link::TimedState;
use crate::viewer::Viewer;
use crate::zenoh_arm::ZenohArmConfig;

/// The franka-node this client is built and tested against.
const KNOWN_VERSION: &str = "0.4";

/// What was heard of the nodes' status topics and the states meanwhile.
pub(super) struct Heard {
    /// One status a node, the newest.
    pub nodes: Vec<Value>,
    /// States that arrived.
    pub states: u64,
    /// How long was listened, s.
    pub seconds: f64,
}

/// Listens to `franka/node/*/status` and counts states.
pub(super) fn watch_status(viewer: &Viewer, how_long: Duration) -> Heard {
    let (send, receive) = mpsc::channel();
    let subscriber = viewer
        .session()
        .declare_subscriber("franka/node/*/status")
        .callback(move |sample: Sample| {
            if let Ok(status) = serde_json::from_slice::<Value>(&sample.payload().to_bytes()) {
                // The receiver is gone when listening is over.
                let _ = send.send(status);
            }
        })
        .wait();
    viewer.monitor().next_state(0, how_long);
    let before = viewer.monitor().state_count();
    let started = Instant::now();
    std::thread::sleep(how_long);
    let seconds = started.elapsed().as_secs_f64();
    let states = viewer.monitor().state_count() - before;
    drop(subscriber);
    let mut nodes: Vec<Value> = Vec::new();
    for status in receive.try_iter() {
        nodes.retain(|known| known["node"] != status["node"]);
        nodes.push(status);
    }
    Heard {
        nodes,
        states,
        seconds,
    }
}

/// Whether anyone is at the other end.
pub(super) fn reachable(viewer: &Viewer, config: &ZenohArmConfig) -> Check {
    let info = viewer.session().info();
    let peers = info.peers_zid().wait().count() + info.routers_zid().wait().count();
    let endpoints = config.link.connect.join(", ");
    if peers > 0 {
        return Check::pass("zenoh", format!("{peers} connected at {endpoints}"));
    }
    let remedy = if endpoints.contains("tls/") {
        "check address and port, that franka-node listens on tls/, and that both certificates are signed by the same authority and not expired"
    } else {
        "check address and port, the firewall, and that franka-node listens there ([zenoh] listen in its configuration)"
    };
    Check::fail("zenoh", format!("nobody answers at {endpoints}"), remedy)
}

/// Which software serves the arm.
pub(super) fn versions(heard: &Heard, config: &ZenohArmConfig) -> Vec<Check> {
    let serves = |node: &&Value| {
        let arms = node["arms"].as_array();
        arms.is_some_and(|arms| arms.iter().any(|arm| arm["name"] == config.arm.as_str()))
    };
    let Some(node) = heard.nodes.iter().find(serves) else {
        return vec![Check::fail(
            "node",
            format!("no node reports an arm named '{}'", config.arm),
            "start franka-node, or correct robot.franka.arm",
        )];
    };
    let version = node["version"].as_str().unwrap_or("?");
    let found = format!(
        "franka-node {version} ('{}'), up {} s",
        node["node"].as_str().unwrap_or("?"),
        node["uptime_s"]
    );
    let known = version.split('.').take(2).collect::<Vec<_>>().join(".") == KNOWN_VERSION;
    let software = if known {
        Check::pass("node", found)
    } else {
        let remedy = format!("this client is tested against franka-node {KNOWN_VERSION}; install that one, or test carefully");
        Check::warn("node", found, remedy)
    };
    // franka-node publishes no firmware version: it negotiates one or doesn't start.
    let firmware = Check::pass(
        "firmware",
        "compatible: franka-node negotiated the FCI version with the robot when it started (it doesn't publish which; Desk's settings show the system version)",
    );
    vec![software, firmware]
}

/// Whether states arrive fast and fresh.
pub(super) fn states(viewer: &Viewer, state: &TimedState, heard: &Heard) -> Check {
    let rate_hz = heard.states as f64 / heard.seconds.max(1e-3);
    let age_ms = state.received.elapsed().as_secs_f64() * 1e3;
    let malformed = viewer.monitor().malformed();
    let found = format!(
        "{rate_hz:.0} Hz, newest {age_ms:.0} ms old, protocol {VERSION}, {STATE_SIZE} bytes"
    );
    if age_ms > 300.0 {
        return Check::fail(
            "states",
            found,
            "states stopped arriving; check the network and the node",
        );
    }
    if malformed > 0 {
        return Check::warn(
            "states",
            format!("{found}; {malformed} messages that weren't usable"),
            "something else publishes on the arm's keys, or the node speaks another version",
        );
    }
    if rate_hz < 45.0 {
        return Check::warn(
            "states",
            found,
            "targets are streamed at 50 Hz from these states; set state_hz = 100 in the node, or look for a slow network",
        );
    }
    Check::pass("states", found)
}

/// Who holds the arm.
pub(super) fn lease(state: &TimedState, config: &ZenohArmConfig) -> Check {
    let holder = state.msg.client_id.get();
    let phase = state
        .phase()
        .map_or_else(|| "unknown".to_string(), |p| p.to_string());
    let ours = config.client_id.is_some_and(|id| id == holder);
    match state.phase() {
        Some(Phase::Faulted) => Check::fail(
            "lease",
            format!("faulted, holder {holder}"),
            "clear the cause, then `foresight robot recover`",
        ),
        Some(Phase::Idle | Phase::Acquired) if holder == 0 || ours => {
            Check::pass("lease", format!("free ({phase})"))
        }
        _ if holder == 0 => Check::pass("lease", format!("free ({phase})")),
        _ => {
            let holding = state.msg.flags.get() & FLAG_HOLDING != 0;
            let words = if holding { ", holding" } else { "" };
            Check::warn(
                "lease",
                format!("held by client {holder} ({phase}{words})"),
                "wait until that client is done, or end it; `foresight robot stop` stops the arm",
            )
        }
    }
}

/// Whether the robot's own clock runs.
pub(super) fn clock(viewer: &Viewer, earlier: &TimedState) -> Check {
    // An idle node reads its robot once a second.
    let deadline = Instant::now() + Duration::from_millis(2200);
    let mut state = *earlier;
    while Instant::now() < deadline {
        if let Some(newer) = viewer
            .monitor()
            .next_state(state.node_ns(), Duration::from_millis(200))
        {
            state = newer;
        }
        let (then, now) = (
            earlier.msg.robot_time_ms.get(),
            state.msg.robot_time_ms.get(),
        );
        if now > then {
            return Check::pass(
                "robot clock",
                format!("running, {:.0} s", now as f64 * 1e-3),
            );
        }
    }
    Check::fail(
        "robot clock",
        format!("stands still at {} ms", earlier.msg.robot_time_ms.get()),
        "the node publishes without hearing from its robot; check the cable and restart the node",
    )
}

/// What the robot says of itself.
pub(super) fn robot(state: &TimedState) -> Check {
    let mode = match state.msg.robot_mode {
        1 => "idle",
        2 => "moving",
        3 => "guided by hand",
        4 => "reflex",
        5 => "stopped by its user button",
        6 => "recovering",
        _ => "other",
    };
    let rate = state.msg.success_rate.get();
    let found = format!("mode: {mode}");
    if state.msg.has_errors != 0 || matches!(state.msg.robot_mode, 4) {
        let remedy = "clear the cause, then `foresight robot recover`";
        return Check::fail("robot", found, remedy);
    }
    match state.msg.robot_mode {
        0 => Check::warn(
            "robot",
            found,
            "in Desk: unlock the joints and activate FCI",
        ),
        3 => Check::warn("robot", found, "let go of the guiding button before a run"),
        5 => Check::fail("robot", found, "release the user stop"),
        2 if rate < 0.95 => Check::warn(
            "robot",
            format!("{found}, {:.0} % of control commands in time", rate * 100.0),
            "use a real-time kernel and a direct cable on the node's host",
        ),
        _ => Check::pass("robot", found),
    }
}

/// Whether the hand is there and homed.
pub(super) fn gripper(viewer: &Viewer) -> Check {
    let Some((state, _)) = viewer.monitor().gripper() else {
        return Check::warn(
            "gripper",
            "no gripper state",
            "set gripper = \"hand\" in the node's [[arm]]; scenarios with gripper = \"hold\" everywhere need none",
        );
    };
    let found = format!("{:.1} cm open", state.width.get() * 100.0);
    if state.flags & GRIPPER_FAULT != 0 {
        return Check::fail(
            "gripper",
            found,
            "the hand doesn't answer its node; restart the node, check the hand in Desk",
        );
    }
    if state.flags & GRIPPER_CALIBRATED == 0 {
        return Check::warn(
            "gripper",
            format!("{found}, not homed"),
            "`foresight robot gripper home`: it closes and opens once",
        );
    }
    Check::pass("gripper", found)
}

/// Whether the node's host, if it is this one, has a real-time kernel.
pub(super) fn kernel(config: &ZenohArmConfig) -> Check {
    let local = |endpoint: &String| {
        ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|host| endpoint.contains(host))
    };
    if !config.link.connect.iter().any(local) {
        return Check::pass(
            "kernel",
            "the node runs on another host; planning here needs no real-time kernel (on the node's host, `uname -v` should say PREEMPT_RT)",
        );
    }
    let realtime = std::fs::read_to_string("/sys/kernel/realtime")
        .is_ok_and(|text| text.trim() == "1")
        || std::fs::read_to_string("/proc/version").is_ok_and(|text| text.contains("PREEMPT_RT"));
    if realtime {
        Check::pass("kernel", "real-time (PREEMPT_RT)")
    } else {
        Check::warn(
            "kernel",
            "not a real-time kernel, and the node runs on this host",
            "franka-node's 1 kHz loop needs PREEMPT_RT on hardware; a simulated arm doesn't",
        )
    }
}
