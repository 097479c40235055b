//! Unit tests of `src/chain.rs`.

use super::*;
use crate::READY;

#[test]
fn a_measured_tool_reproduces_the_arm_that_reported_it() {
    let hand = Fr3::new().expect("the bundled model");
    let near = |a: &Isometry3<f64>, b: &Isometry3<f64>| {
        (a.translation.vector - b.translation.vector).norm() < 1e-12
            && a.rotation.angle_to(&b.rotation) < 1e-7
    };
    let measured = hand.measured_tool(&READY, &hand.tcp_pose(&READY));
    assert!(near(&measured, &franka_hand()) && near(&hand.tool(), &franka_hand()));
    let long = Isometry3::translation(0.01, 0.0, 0.25);
    let other = Fr3::new().expect("the bundled model").with_tool(&long);
    let q = [0.3, -0.5, 0.2, -2.0, 0.1, 1.7, 0.4];
    assert!(near(&hand.measured_tool(&q, &other.tcp_pose(&q)), &long));
    // The Jacobian is the tool's: a finite difference agrees.
    let (tcp, jacobian) = other.tcp_and_jacobian(&q);
    let mut nudged = q;
    nudged[3] += 1e-7;
    let moved = (other.tcp_pose(&nudged).translation.vector - tcp.translation.vector) / 1e-7;
    assert!((moved - jacobian.fixed_view::<3, 1>(0, 3)).norm() < 1e-5);
}
