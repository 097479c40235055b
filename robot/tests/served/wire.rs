//! What goes over the wire, byte by byte, and what happens to bytes that shouldn't be there.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::{action, envelope, hub, serve, wait_until};
use foresight_robot::link::{self, Monitor};
use foresight_robot::{Arm, Frame, LinkConfig, Viewer, ZenohArm, ZenohArmConfig};
use franka_node::{GripperMsg, GripperStateMsg, Kind, Phase, StateMsg, TargetMsg};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zenoh::{Session, Wait};
use zerocopy::IntoBytes;

fn config(link: LinkConfig) -> ZenohArmConfig {
    ZenohArmConfig {
        link,
        client_id: Some(0x0102_0304),
        ..ZenohArmConfig::default()
    }
}

type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

fn listen(session: &Session, key: &str) -> (Heard, zenoh::pubsub::Subscriber<()>) {
    let heard = Heard::default();
    let sink = Arc::clone(&heard);
    let subscriber = session
        .declare_subscriber(key.to_string())
        .callback(move |sample| {
            let bytes = sample.payload().to_bytes().to_vec();
            sink.lock().expect("a lock").push(bytes);
        })
        .wait()
        .expect("a subscriber");
    (heard, subscriber)
}

/// A field of the documented layout, little-endian.
fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(b[at..at + 2].try_into().expect("2 bytes"))
}
fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(b[at..at + 4].try_into().expect("4 bytes"))
}
fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(b[at..at + 8].try_into().expect("8 bytes"))
}
fn f64_at(b: &[u8], at: usize) -> f64 {
    f64::from_le_bytes(b[at..at + 8].try_into().expect("8 bytes"))
}

#[test]
fn targets_gripper_commands_and_frames_are_the_stock_bytes() {
    let server = serve(1);
    let (other, link) = hub(&server);
    let (targets, _t) = listen(&other, "franka/fr3/target");
    let (grips, _g) = listen(&other, "franka/fr3/gripper/target");
    let (states, _s) = listen(&other, "franka/fr3/state");
    let (frames, _f) = listen(&other, "franka/cam/front/frame");
    let mut arm = ZenohArm::connect(config(link), envelope()).expect("connected");
    let executed = arm
        .execute(&action(0.03, 0.0, 0.03, 1.0))
        .expect("executed");
    assert!(executed.settled && executed.refused == 0);
    arm.close().expect("closed");

    // Targets: "<BBHIQQ7d", written out by hand from the documented layout.
    let targets = targets.lock().expect("a lock").clone();
    assert!(targets.len() > 20, "{}", targets.len());
    let mut last_seq = 0;
    for bytes in &targets {
        assert_eq!((bytes.len(), bytes[0], bytes[1]), (80, 1, 1));
        assert_eq!((u16_at(bytes, 2), u32_at(bytes, 4)), (0, 0x0102_0304));
        let (seq, sent_ns) = (u64_at(bytes, 8), u64_at(bytes, 16));
        assert!(seq > last_seq, "{seq} after {last_seq}");
        last_seq = seq;
        let data: [f64; 7] = std::array::from_fn(|i| f64_at(bytes, 24 + 8 * i));
        let norm: f64 = data[3..].iter().map(|v| v * v).sum();
        assert!((norm - 1.0).abs() < 1e-9);
        // And franka-node's own encoding of the same content.
        let stock = TargetMsg::new(Kind::Cartesian, 0x0102_0304, seq, sent_ns, data);
        assert_eq!(stock.as_bytes(), &bytes[..]);
        assert!(TargetMsg::try_from(&bytes[..]).is_ok());
    }
    // One literal: nobody changes both sides unnoticed.
    let literal = TargetMsg::new(
        Kind::Cartesian,
        7,
        0x0a0b,
        3,
        [1.0, -2.0, 0.5, 0.0, 0.0, 0.0, 1.0],
    );
    let expected: Vec<u8> = [
        &[
            1, 1, 0, 0, 7, 0, 0, 0, 0x0b, 0x0a, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
        ][..],
        &1.0_f64.to_le_bytes(),
        &(-2.0_f64).to_le_bytes(),
        &0.5_f64.to_le_bytes(),
        &[0; 24],
        &1.0_f64.to_le_bytes(),
    ]
    .concat();
    assert_eq!(literal.as_bytes(), &expected[..]);

    // Gripper: "<BBHIQQdd", a full closing is a grasp with its force.
    let grips = grips.lock().expect("a lock").clone();
    let first = grips.first().expect("a gripper command");
    assert_eq!((first.len(), first[0], first[1]), (40, 1, 2));
    assert_eq!((u16_at(first, 2), u32_at(first, 4)), (0, 0x0102_0304));
    assert_eq!((f64_at(first, 24), f64_at(first, 32)), (0.0, 30.0));
    let stock = GripperMsg::new(
        franka_node::GripperKind::Grasp,
        0x0102_0304,
        u64_at(first, 8),
        u64_at(first, 16),
        0.0,
        30.0,
    );
    assert_eq!(stock.as_bytes(), &first[..]);

    // Frames: "<BBHHHIQQQ" and a JPEG, as franka-cam encodes them.
    let frames = frames.lock().expect("a lock").clone();
    let frame = frames.last().expect("a frame");
    assert_eq!((frame[0], frame[1], u16_at(frame, 2)), (1, 1, 0b11));
    assert_eq!((u16_at(frame, 4), u16_at(frame, 6)), (128, 128));
    assert_eq!(&frame[36..38], &[0xff, 0xd8], "a JPEG");
    let (header, payload) = franka_cam::decode(frame).expect("franka-cam's own decoder");
    let capture = franka_cam::Capture {
        seq: u32_at(frame, 8),
        flags: u16_at(frame, 2),
        t_capture_ns: u64_at(frame, 12),
        t_node_ns: u64_at(frame, 20),
        t_wall_ns: u64_at(frame, 28),
    };
    let again = franka_cam::CameraMsg::new(franka_cam::Format::Mjpeg, 128, 128, capture);
    assert_eq!(again.encode(payload), *frame);
    assert_eq!(
        header.t_capture_ns.get(),
        Frame::decode(frame).expect("a frame").captured_ns
    );

    // States: 474 bytes, read at the documented offsets.
    let states = states.lock().expect("a lock").clone();
    let state = states.last().expect("a state");
    assert_eq!((state.len(), state[0]), (474, 1));
    let stock = StateMsg::from_wire(state);
    assert_eq!(u32_at(state, 6), stock.client_id.get());
    assert_eq!(u64_at(state, 26), stock.t_node_ns.get());
    assert_eq!(f64_at(state, 218 + 8 * 12), stock.o_t_ee[12].get());
}

/// Reads a state with zerocopy, as the client does.
trait FromWire {
    fn from_wire(bytes: &[u8]) -> StateMsg;
}
impl FromWire for StateMsg {
    fn from_wire(bytes: &[u8]) -> StateMsg {
        zerocopy::FromBytes::read_from_bytes(bytes).expect("474 bytes")
    }
}

#[test]
fn commands_are_the_stock_json() {
    let request = franka_node::CmdRequest::new(7);
    let json = serde_json::to_string(&request).expect("JSON");
    assert_eq!(json, "{\"client_id\":7}");
    let enable = franka_node::CmdRequest {
        mode: Some(Kind::Cartesian),
        ..franka_node::CmdRequest::new(7)
    };
    let json = serde_json::to_string(&enable).expect("JSON");
    assert_eq!(json, "{\"client_id\":7,\"mode\":\"cartesian\"}");
}

/// Bytes that look almost right: real messages with a wrong version, cut short, too long, with
/// bits flipped, with NaN and infinities, from strangers, or heard before.
fn mangled(rng: &mut ChaCha8Rng, heard: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = heard[rng.random_range(0..heard.len())].clone();
    match rng.random_range(0..8) {
        0 => bytes[0] = rng.random_range(2..=255),
        1 => bytes.truncate(rng.random_range(0..bytes.len())),
        2 => bytes.extend((0..rng.random_range(1..64)).map(|_| rng.random::<u8>())),
        3 => {
            // Not in the sequence number: a newer message that names the holder is no damage but
            // a forgery, which only certificates keep out.
            let at = rng.random_range(0..bytes.len());
            if !(8..16).contains(&at) {
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
        }
        4 if bytes.len() > 32 => {
            let at = 24 + 8 * rng.random_range(0..(bytes.len() - 24) / 8);
            let value = [f64::NAN, f64::INFINITY, -1e300, 1e300][rng.random_range(0..4)];
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        5 => {
            bytes = (0..rng.random_range(0..600))
                .map(|_| rng.random())
                .collect()
        }
        6 => bytes.clear(),
        _ => {} // A replay, as it was.
    }
    bytes
}

#[test]
fn fuzzed_and_replayed_messages_on_every_key_move_nothing_and_panic_nobody() {
    let server = serve(3);
    let (other, link) = hub(&server);
    let keys = [
        "franka/fr3/target",
        "franka/fr3/gripper/target",
        "franka/fr3/state",
        "franka/fr3/gripper/state",
        "franka/cam/front/frame",
        "franka/node/foresight-sim/status",
        "franka/fr3/episode",
    ];
    let listeners = keys.map(|key| listen(&other, key));
    let mut arm = ZenohArm::connect(config(link), envelope()).expect("connected");
    let moved = arm
        .execute(&action(0.02, 0.0, 0.03, 0.0))
        .expect("executed");
    assert!(moved.settled);
    let grip = arm.execute(&action(0.0, 0.0, 0.0, 1.0)).expect("closed");
    assert!(grip.settled);
    let opened = arm.execute(&action(0.0, 0.0, 0.0, -1.0)).expect("opened");
    assert!(opened.settled && opened.reached_pose.gripper < 0.05);
    let heard: Vec<Vec<Vec<u8>>> = listeners
        .iter()
        .map(|(heard, _)| heard.lock().expect("a lock").clone())
        .collect();
    drop(listeners);
    assert!(heard[..5].iter().all(|h| !h.is_empty()));
    // The arm is stopped: now nothing of ours moves it, and no replayed target may.
    arm.stop().expect("stopped");
    let place = || server.with_simulator(|s| (s.arm().tcp, s.gripper().width_m));
    let before = place();
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut sent = 0;
    for _ in 0..600 {
        for (key, heard) in keys.iter().zip(&heard) {
            let fallback = [vec![1, 2, 3, 4, 5, 6, 7, 8]];
            let from = if heard.is_empty() {
                &fallback[..]
            } else {
                heard
            };
            let bytes = mangled(&mut rng, from);
            other.put(*key, bytes).wait().expect("sent");
            sent += 1;
        }
        for verb in [
            "acquire",
            "enable",
            "home",
            "recover",
            "release",
            "gripper_home",
        ] {
            if rng.random_bool(0.03) {
                let junk: Vec<u8> = (0..rng.random_range(0..40)).map(|_| rng.random()).collect();
                let _ = other
                    .get(format!("franka/fr3/cmd/{verb}"))
                    .payload(junk)
                    .timeout(Duration::from_millis(50))
                    .wait();
            }
        }
    }
    std::thread::sleep(Duration::from_millis(500));
    let after = place();
    let (moved_m, width) = (
        (before.0.translation.vector - after.0.translation.vector).norm(),
        (before.1 - after.1).abs(),
    );
    println!(
        "{sent} messages: arm moved {:.4} mm, fingers {:.4} mm, client dropped {}, node {}",
        moved_m * 1e3,
        width * 1e3,
        arm.monitor().malformed(),
        server.decode_failures()
    );
    assert!(moved_m < 1e-5 && width < 2e-3, "{moved_m} {width}");
    assert!(arm.monitor().malformed() > 300 && server.decode_failures() > 300);
    // And everything still works for an honest client.
    wait_until("honest states", Duration::from_secs(3), || {
        arm.monitor().state().and_then(|s| s.phase()) == Some(Phase::Idle)
    });
    let looked = Viewer::connect(&config(server.link())).and_then(|v| v.look());
    assert!(looked.is_ok(), "{looked:?}");
    let again = arm.execute(&action(0.0, 0.0, 0.03, 0.0)).expect("executed");
    assert!(again.settled && again.error_m < 0.002, "{again:?}");
}

#[test]
fn while_the_arm_is_active_replayed_targets_are_refused_by_their_sequence_number() {
    let server = serve(4);
    let (other, link) = hub(&server);
    let (targets, subscriber) = listen(&other, "franka/fr3/target");
    let mut arm = ZenohArm::connect(config(link), envelope()).expect("connected");
    arm.execute(&action(0.0, 0.0, 0.05, 0.0)).expect("executed");
    drop(subscriber);
    let heard = targets.lock().expect("a lock").clone();
    arm.keep_alive_until(Instant::now() + Duration::from_secs(10));
    let before = server.with_simulator(|s| s.arm().tcp.translation.vector);
    let refused = server.refused();
    for bytes in &heard {
        other
            .put("franka/fr3/target", bytes.clone())
            .wait()
            .expect("sent");
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(300));
    let moved_m = (server.with_simulator(|s| s.arm().tcp.translation.vector) - before).norm();
    let counted = server.refused() - refused;
    println!(
        "{} replayed targets, {counted} refused, arm moved {:.4} mm",
        heard.len(),
        moved_m * 1e3
    );
    assert!(moved_m < 1e-4, "{moved_m}");
    // Some are superseded by an honest target before they are judged.
    assert!(counted as usize > heard.len() / 2, "{counted}");
}

#[test]
fn states_from_the_past_are_not_believed() {
    let server = serve(5);
    let (other, link) = hub(&server);
    let (states, subscriber) = listen(&other, "franka/fr3/state");
    let session = link::open(&link).expect("a session");
    let monitor = Monitor::subscribe(&session, "fr3", &[]).expect("subscribed");
    wait_until("states", Duration::from_secs(3), || {
        states.lock().expect("a lock").len() > 20
    });
    drop(subscriber);
    let heard = states.lock().expect("a lock").clone();
    let newest = monitor
        .next_state(0, Duration::from_secs(2))
        .expect("a state");
    for bytes in &heard {
        other
            .put("franka/fr3/state", bytes.clone())
            .wait()
            .expect("sent");
    }
    std::thread::sleep(Duration::from_millis(200));
    let now = monitor.state().expect("a state");
    assert!(now.node_ns() >= newest.node_ns());
    assert!(monitor.malformed() as usize >= heard.len() / 2);
    let gripper: &[u8] = &[0; 40];
    assert!(GripperStateMsg::try_from(gripper).is_err());
}
