//! Who may connect, and what they may do: mutual TLS and access control by certificate name.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::{action, envelope, free_port, scene, wait_until};
use foresight_robot::certificates::{create, of_role};
use foresight_robot::link::{self, Lease, Monitor};
use foresight_robot::{
    Arm, LinkConfig, SimServer, SimServerConfig, TlsConfig, Viewer, ZenohArm, ZenohArmConfig,
};
use franka_node::{Kind, Phase, TargetMsg};
use zenoh::Wait;
use zerocopy::IntoBytes;

fn serve(folder: &Path) -> SimServer {
    let port = free_port();
    let config = SimServerConfig {
        listen: vec![format!("tls/127.0.0.1:{port}")],
        zenoh_config: Some(folder.join("node.json5")),
        ..SimServerConfig::default()
    };
    SimServer::start(&scene(1), &config).expect("served over TLS")
}

fn shown(server: &SimServer, tls: Option<TlsConfig>) -> LinkConfig {
    LinkConfig {
        tls,
        ..server.link()
    }
}

/// Whether any state arrives over this link.
fn sees(link: &LinkConfig) -> bool {
    let Ok(session) = link::open(link) else {
        return false;
    };
    let Ok(monitor) = Monitor::subscribe(&session, "fr3", &["front"]) else {
        return false;
    };
    monitor.next_state(0, Duration::from_secs(3)).is_some()
}

fn drive(arm: &mut ZenohArm, action: &foresight_planner::Action) {
    let moved = arm.execute(action).expect("the planner drives");
    assert!(
        moved.settled && moved.refused == 0 && moved.error_m < 0.002,
        "{moved:?}"
    );
}

#[test]
fn what_is_no_host_gets_no_certificate_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = folder.path().join("lab");
    for wrong in [
        "",
        "tcp/1.2.3.4:7447",
        "robot.local:7447",
        "a b",
        "*",
        "192.168.1.300",
        "röbot",
    ] {
        let error = create(&made, &["robot.local".into(), wrong.into()], 2).expect_err("no host");
        assert!(
            error.to_string().contains("without tls/ and port"),
            "{error}"
        );
        assert!(!made.exists(), "{wrong}");
    }
    create(&made, &["my-arm_1.local".into(), "::1".into()], 2).expect("certificates");
}

#[test]
fn a_viewer_watches_and_stops_and_drives_nothing_and_strangers_see_nothing() {
    let _alone = crate::alone();
    link::arrange_threads();
    let folder = tempfile::tempdir().expect("a folder");
    let made = folder.path().join("lab");
    create(&made, &["127.0.0.1".into(), "localhost".into()], 2).expect("certificates");
    assert!(
        create(&made, &["127.0.0.1".into()], 2).is_err(),
        "never overwritten"
    );
    let server = serve(&made);
    let place = || server.with_simulator(|s| s.arm().tcp.translation.vector);

    // The planner drives.
    let planner = ZenohArmConfig {
        link: shown(&server, Some(of_role(&made, "planner"))),
        ..ZenohArmConfig::default()
    };
    let mut arm = ZenohArm::connect(planner, envelope()).expect("the planner connects");
    drive(&mut arm, &action(0.02, 0.0, 0.03, 0.0));
    assert!(arm.observe().expect("and sees").settled);
    arm.keep_alive_until(Instant::now() + Duration::from_secs(60));

    // The viewer watches: states and frames.
    let viewer_link = shown(&server, Some(of_role(&made, "viewer")));
    let viewing = ZenohArmConfig {
        link: viewer_link.clone(),
        ..ZenohArmConfig::default()
    };
    let viewer = Viewer::connect(&viewing).expect("the viewer sees states");
    wait_until("frames", Duration::from_secs(5), || {
        viewer.monitor().frame(0).is_some()
    });

    // It does not drive: neither by the holder's own id, nor by commands, nor by a lease.
    let before = place();
    let [x, y, z] = [before.x, before.y, before.z + 0.03];
    for seq in 0..50_u64 {
        let data = [x, y, z, 1.0, 0.0, 0.0, 0.0];
        let forged = TargetMsg::new(
            Kind::Cartesian,
            arm.client_id(),
            u64::MAX - 100 + seq,
            0,
            data,
        );
        viewer
            .session()
            .put("franka/fr3/target", forged.as_bytes())
            .wait()
            .expect("sent");
        std::thread::sleep(Duration::from_millis(5));
    }
    let refused_before = server.refused();
    let verbs = [
        "acquire",
        "enable",
        "recover",
        "release",
        "home",
        "gripper_home",
    ];
    // All at once: each waits for an answer that must not come.
    std::thread::scope(|scope| {
        for verb in verbs {
            let (session, id) = (viewer.session(), arm.client_id());
            scope.spawn(move || {
                let answer = link::command(session, "fr3", verb, id);
                let error = answer.expect_err("a viewer commands nothing").to_string();
                assert!(error.contains("no reply"), "{verb}: {error}");
            });
        }
    });
    assert!(Lease::acquire(viewer.session(), "fr3", 99).is_err());
    assert!((place() - before).norm() < 1e-4);
    assert_eq!(
        server.refused(),
        refused_before,
        "nothing even reached the guard"
    );
    // Nor does it fake what others see.
    let own = arm.monitor().malformed();
    viewer
        .session()
        .put("franka/fr3/state", vec![0; 3])
        .wait()
        .expect("sent");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(arm.monitor().malformed(), own);

    // It stops.
    drive(&mut arm, &action(0.0, 0.0, 0.01, 0.0));
    assert_eq!(
        viewer.state().expect("a state").phase(),
        Some(Phase::Active)
    );
    viewer.stop().expect("a viewer stops");
    wait_until("the stop", Duration::from_secs(3), || {
        viewer.state().ok().and_then(|s| s.phase()) == Some(Phase::Idle)
    });

    // Without a certificate, with one of another authority, or in plain TCP: no connection.
    let stranger = folder.path().join("stranger");
    create(&stranger, &["127.0.0.1".into()], 2).expect("another authority");
    let anonymous = TlsConfig {
        root_ca_certificate: Some(made.join("ca.pem")),
        mutual: false,
        ..TlsConfig::default()
    };
    let forged = TlsConfig {
        root_ca_certificate: Some(made.join("ca.pem")),
        ..of_role(&stranger, "planner")
    };
    let plain = server.endpoints()[0].replace("tls/", "tcp/");
    // A certificate of the right authority with a name no rule knows: connected, and mute.
    let own_name = of_role(&made, "node");
    let strangers = [
        ("no certificate", shown(&server, Some(anonymous))),
        ("another authority's", shown(&server, Some(forged))),
        ("plain TCP", LinkConfig::to(plain)),
        ("the node's own name", shown(&server, Some(own_name))),
    ];
    assert!(sees(&viewer_link), "the check can succeed");
    std::thread::scope(|scope| {
        for (who, link) in &strangers {
            scope.spawn(move || assert!(!sees(link), "{who} may not watch"));
        }
    });
}
