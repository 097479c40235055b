//! Unit tests of `src/motion.rs`.

use super::*;

fn look(time_s: f64, measured: &Isometry3<f64>) -> MotionSample<'_> {
    MotionSample {
        time_s,
        measured,
        joint_speed_rad_s: 0.0,
        arrived: true,
        blocked: false,
        gripper_done: true,
    }
}

#[test]
fn an_arm_at_rest_at_its_goal_is_over_in_a_few_looks() {
    let goal = Isometry3::translation(0.5, 0.0, 0.2);
    let mut motion = Motion::new(goal, SettleConfig::default(), 2.0);
    let looks = (0..20).position(|i| {
        let next = motion.next(&look(f64::from(i) * 0.01, &goal));
        matches!(
            next,
            MotionStep::Over {
                settled: true,
                blocked: false
            }
        )
    });
    assert_eq!(looks, Some(5));
}

#[test]
fn a_blocked_arm_is_led_back_to_where_it_stands() {
    let (goal, here) = (
        Isometry3::translation(0.5, 0.0, 0.2),
        Isometry3::translation(0.5, 0.0, 0.23),
    );
    let mut motion = Motion::new(goal, SettleConfig::default(), 2.0);
    let next = motion.next(&MotionSample {
        blocked: true,
        ..look(0.0, &here)
    });
    assert_eq!(next, MotionStep::Lead(here));
    let over = (1..20).find_map(|i| match motion.next(&look(f64::from(i) * 0.01, &here)) {
        MotionStep::Over { settled, blocked } => Some((settled, blocked)),
        _ => None,
    });
    assert_eq!(over, Some((true, true)));
}

#[test]
fn an_arm_that_trembles_backs_off_and_is_given_up_on() {
    let goal = Isometry3::translation(0.5, 0.0, 0.2);
    let mut motion = Motion::new(goal, SettleConfig::default(), 0.5);
    let (mut leads, mut ended) = (0, None);
    for i in 0..4000 {
        let trembling = MotionSample {
            joint_speed_rad_s: 0.5,
            ..look(f64::from(i) * 0.01, &goal)
        };
        match motion.next(&trembling) {
            MotionStep::Lead(to) => {
                leads += 1;
                assert!(to.translation.z > goal.translation.z);
            }
            MotionStep::Over { settled, blocked } => {
                ended = Some((i, settled, blocked));
                break;
            }
            MotionStep::Wait => {}
        }
    }
    assert_eq!(leads, MAX_RETREATS);
    let (ticks, settled, blocked) = ended.expect("given up on");
    assert!(!settled && blocked && ticks < 2000, "{ticks}");
}
