//! A TLS link under traffic in both directions: nothing is lost and the link stays up.
//!
//! Without [`link::arrange_threads`] (and the check in [`link::open`] that asks for it) zenoh's
//! two threads trip over each other within milliseconds here: 2,256 and 13,079 of 20,000
//! messages arrived in one try.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::free_port;
use foresight_robot::certificates::{create, of_role};
use foresight_robot::{link, LinkConfig};
use zenoh::qos::CongestionControl;
use zenoh::{Session, Wait};

/// Messages each way.
const MESSAGES: u64 = 20_000;

/// Two sessions over mutual TLS: who listens, and who connects.
fn pair(folder: &Path) -> (Session, Session) {
    let endpoint = format!("tls/127.0.0.1:{}", free_port());
    let side = |role: &str, listen: bool| LinkConfig {
        tls: Some(of_role(folder, role)),
        listen: listen.then(|| endpoint.clone()).into_iter().collect(),
        connect: (!listen).then(|| endpoint.clone()).into_iter().collect(),
        ..LinkConfig::default()
    };
    let open = |config: LinkConfig| link::open(&config).expect("a session");
    let node = open(side("node", true));
    (node, open(side("planner", false)))
}

/// Counts what arrives on `key`.
fn count(session: &Session, key: &'static str) -> Arc<AtomicU64> {
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    session
        .declare_subscriber(key)
        .callback(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .background()
        .wait()
        .expect("a subscriber");
    seen
}

/// Sends as fast as the link takes it.
fn flood(session: &Session, key: &'static str) {
    let publisher = session
        .declare_publisher(key)
        .congestion_control(CongestionControl::Block)
        .express(true)
        .wait()
        .expect("a publisher");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !publisher
        .matching_status()
        .wait()
        .expect("a status")
        .matching()
    {
        assert!(Instant::now() < deadline, "{key}: nobody listens");
        std::thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..MESSAGES {
        publisher.put(vec![0; 474]).wait().expect("sent");
    }
}

/// How many messages came each way.
fn both_ways() -> [u64; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let made = folder.path().join("lab");
    create(&made, &["127.0.0.1".into()], 2).expect("certificates");
    let (node, planner) = pair(&made);
    let seen = [count(&planner, "test/states"), count(&node, "test/targets")];
    std::thread::scope(|scope| {
        scope.spawn(|| flood(&node, "test/states"));
        scope.spawn(|| flood(&planner, "test/targets"));
    });
    let arrived = || [0, 1].map(|i: usize| seen[i].load(Ordering::Relaxed));
    let deadline = Instant::now() + Duration::from_secs(5);
    while arrived() != [MESSAGES; 2] && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    arrived()
}

#[test]
fn traffic_in_both_directions_arrives() {
    let _alone = crate::alone();
    link::arrange_threads();
    assert_eq!(both_ways(), [MESSAGES; 2]);
}
