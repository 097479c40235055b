//! The HDF5 file a [`Trajectory`] is stored in.

use std::collections::BTreeMap;

use foresight_planner::Pose;
use hdf5_pure::{AttrValue, FileBuilder};

use super::Trajectory;

impl Trajectory {
    /// The file's bytes.
    pub(super) fn to_hdf5(
        &self,
        cameras: &BTreeMap<String, Vec<[f64; 6]>>,
        captured_s: &BTreeMap<String, Vec<f64>>,
    ) -> Result<Vec<u8>, hdf5_pure::Error> {
        let steps = self.len() as u64;
        let mut file = FileBuilder::new();

        let mut observation = file.create_group("observation");
        let mut robot = observation.create_group("robot_state");
        robot
            .create_dataset("cartesian_position")
            .with_f64_data(&flat(self.states.iter().map(cartesian)))
            .with_shape(&[steps, 6]);
        robot
            .create_dataset("gripper_position")
            .with_f64_data(&self.states.iter().map(|s| s.gripper).collect::<Vec<_>>())
            .with_shape(&[steps]);
        if !self.joints_rad.is_empty() {
            robot
                .create_dataset("joint_positions")
                .with_f64_data(&flat(self.joints_rad.iter().copied()))
                .with_shape(&[steps, 7]);
        }
        observation.add_group(robot.finish());
        if !cameras.is_empty() {
            let mut extrinsics = observation.create_group("camera_extrinsics");
            for (name, rows) in cameras {
                extrinsics
                    .create_dataset(name)
                    .with_f64_data(&flat(rows.iter().copied()))
                    .with_shape(&[steps, 6]);
            }
            observation.add_group(extrinsics.finish());
        }
        if !self.time_s.is_empty() {
            let mut timestamp = observation.create_group("timestamp");
            timestamp
                .create_dataset("time_s")
                .with_f64_data(&self.time_s)
                .with_shape(&[steps]);
            let mut reads = timestamp.create_group("robot_state");
            reads
                .create_dataset("read_end")
                .with_i64_data(&milliseconds(&self.time_s))
                .with_shape(&[steps]);
            timestamp.add_group(reads.finish());
            if !captured_s.is_empty() {
                let mut cameras = timestamp.create_group("cameras");
                for (name, times) in captured_s {
                    cameras
                        .create_dataset(&format!("{name}_estimated_capture"))
                        .with_i64_data(&milliseconds(times))
                        .with_shape(&[steps]);
                }
                timestamp.add_group(cameras.finish());
            }
            observation.add_group(timestamp.finish());
        }
        file.add_group(observation.finish());

        if let Some(last) = self.commands.last() {
            let targets: Vec<Pose> = self
                .commands
                .iter()
                .map(|c| c.target)
                .chain([last.target])
                .collect();
            let mut action = file.create_group("action");
            action
                .create_dataset("cartesian_position")
                .with_f64_data(&flat(targets.iter().map(cartesian)))
                .with_shape(&[steps, 6]);
            action
                .create_dataset("gripper_position")
                .with_f64_data(&targets.iter().map(|t| t.gripper).collect::<Vec<_>>())
                .with_shape(&[steps]);
            action
                .create_dataset("requested")
                .with_f64_data(&flat(self.commands.iter().map(|c| c.requested.to_array())))
                .with_shape(&[steps - 1, 7]);
            file.add_group(action.finish());
        }

        if let Some(simulator) = &self.simulator {
            let flags = |values: &[bool]| values.iter().map(|v| u8::from(*v)).collect::<Vec<_>>();
            let mut group = file.create_group("simulator_state");
            group
                .create_dataset("object_position_m")
                .with_f64_data(&flat(simulator.object_position_m.iter().copied()))
                .with_shape(&[steps, 3]);
            group
                .create_dataset("object_quaternion_xyzw")
                .with_f64_data(&flat(simulator.object_quaternion_xyzw.iter().copied()))
                .with_shape(&[steps, 4]);
            group
                .create_dataset("held")
                .with_u8_data(&flags(&simulator.held))
                .with_shape(&[steps]);
            group
                .create_dataset("upright")
                .with_u8_data(&flags(&simulator.upright))
                .with_shape(&[steps]);
            group
                .create_dataset("target_position_m")
                .with_f64_data(&simulator.target_position_m)
                .with_shape(&[2]);
            if let Some(initial_state) = &simulator.initial_state {
                let flags = [
                    f64::from(u8::from(initial_state.grasping)),
                    initial_state.settling_s,
                    f64::from(u8::from(initial_state.object.is_some())),
                ];
                group
                    .create_dataset("begin_flags")
                    .with_f64_data(&flags)
                    .with_shape(&[3]);
                let seven = [
                    ("begin_pose", initial_state.pose),
                    ("begin_object", initial_state.object),
                ];
                for (name, values) in seven {
                    if let Some(values) = values {
                        group
                            .create_dataset(name)
                            .with_f64_data(&values)
                            .with_shape(&[7]);
                    }
                }
                group
                    .create_dataset("envelope")
                    .with_u8_data(initial_state.envelope.as_bytes())
                    .with_shape(&[initial_state.envelope.len() as u64]);
            }
            group.set_attr("scene_seed", AttrValue::U64(simulator.scene_seed));
            // A dataset, not an attribute: attributes end at 64 KiB.
            group
                .create_dataset("scene")
                .with_u8_data(simulator.scene.as_bytes())
                .with_shape(&[simulator.scene.len() as u64]);
            file.add_group(group.finish());
        }
        file.finish()
    }
}

fn milliseconds(time_s: &[f64]) -> Vec<i64> {
    let rounded = time_s.iter().map(|t| (t * 1000.0).round() as i64);
    rounded.collect()
}

fn cartesian(pose: &Pose) -> [f64; 6] {
    let [x, y, z, a, b, c, _] = pose.to_array();
    [x, y, z, a, b, c]
}

fn flat<const N: usize>(rows: impl Iterator<Item = [f64; N]>) -> Vec<f64> {
    rows.flatten().collect()
}
