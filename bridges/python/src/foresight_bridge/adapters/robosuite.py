"""robosuite's Panda: a table with one object (`Reach`, `Push`, `Lift`), or any of its environments by name.

Physics, pictures and success are robosuite's; a lift counts as its `_check_success` says, the others by MuJoCo's own
positions. `pip install "./bridges/python[robosuite]"` pins what works together. Without a display `MUJOCO_GL=osmesa`
(Debian: libosmesa6) or `egl` must be in the environment before MuJoCo is loaded.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("MUJOCO_GL", "osmesa")

import mujoco
import numpy as np
import robosuite
from robosuite.controllers import load_part_controller_config

from ..environment import ArmState, Goal, GripperCommand, Image, Verdict
from ..geometry import Array, angle_between, placement, quaternion_of_rotation, rotation_of_euler
from .arm_model import ArmModel

logging.getLogger("robosuite_logs").setLevel(logging.ERROR)

DOWN = rotation_of_euler((math.pi, 0.0, 0.0))
STROKE_M = 0.08
CONTROL_HZ = 50
TABLE_M = -0.112
"""robosuite's table top in the arm's base frame."""
EYE_M, LOOK_AT_M = (1.05, 0.55, 0.45), (0.52, 0.0, 0.04)
START_RAD = np.array([0.0, np.pi / 16, 0.0, -np.pi / 2 - np.pi / 3, 0.0, np.pi - 0.2, np.pi / 4])
REACH_LOW_M, REACH_HIGH_M = np.array([0.42, -0.15, TABLE_M + 0.12]), np.array([0.62, 0.15, TABLE_M + 0.30])
REACHED_M = 0.04
PUSHED_M = 0.03
LIFTED_M = 0.10
"""How high a lift's goal picture shows the object; robosuite asks for 4 cm."""
BESIDE_M, TOUCHING_M = 0.06, 0.035
"""From the closed fingers to the cube's middle, where a push starts and while it pushes."""


class RobosuiteArm:
    """One of robosuite's environments with one Panda, without goals. A subclass has a task."""

    period_s = 1.0 / CONTROL_HZ
    max_width_m = STROKE_M

    def __init__(self, name: str = "Lift", image_px: int = 128, camera: str | None = None, **options: Any) -> None:
        """`camera` is one of robosuite's; where it isn't given, its agentview is moved nearer and aside, so that hand
        and table fill the picture. `options` go to `robosuite.make`."""
        part = load_part_controller_config(default_controller="OSC_POSE")
        part.update(input_type="absolute", input_ref_frame="base", kp=300, gripper={"type": "GRIP"})
        self.env: Any = robosuite.make(
            name,
            robots="Panda",
            controller_configs={"type": "BASIC", "body_parts": {"right": part}},
            initialization_noise=None,
            has_renderer=False,
            has_offscreen_renderer=True,
            use_camera_obs=False,
            control_freq=CONTROL_HZ,
            ignore_done=True,
            hard_reset=False,
            horizon=2**31,
            **options,
        )
        self._view, self._px = camera or "agentview", image_px
        self.reset(0)
        if camera is None:
            self.panda.aim(self._view, EYE_M, LOOK_AT_M)
        # The software renderer takes most of its time for samples that 128 pixels don't show.
        self._model.vis.quality.offsamples = 1
        self.env.sim._render_context_offscreen.con.free()
        self.env.sim._render_context_offscreen._set_mujoco_context_and_buffers()

    @property
    def _model(self) -> Any:
        return self.env.sim.model._model

    @property
    def _data(self) -> Any:
        return self.env.sim.data._data

    def reset(self, seed: int) -> None:
        """robosuite's own draw of the scene; then the hand stands, pointing down and open, at a drawn place."""
        rng = np.random.default_rng(seed)
        self.env.rng = rng
        placing = getattr(self.env, "placement_initializer", None)
        for sampler in [placing, *getattr(placing, "samplers", {}).values()]:
            if sampler is not None:
                sampler.rng = rng
        self.env.reset()
        self.panda = ArmModel(
            self._model,
            self._data,
            [f"robot0_joint{i}" for i in range(1, 8)],
            ["gripper0_right_finger_joint1", "gripper0_right_finger_joint2"],
            "robot0_base",
            "robot0_link7",
        )
        site = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_SITE, "gripper0_right_grip_site")
        grip = placement(self._data.site_xmat[site].reshape(3, 3), self._data.site_xpos[site])
        # What robosuite's controller leads, seen from the tool point that Foresight leads.
        self._grip = np.linalg.inv(self.panda.state().o_t_ee) @ self.panda.in_base(grip)
        self.camera = self.panda.camera(self._view, self._px, self._px)
        self._begin(rng)
        self.env.robots[0].gripper["right"].current_action = np.array([-1.0, 1.0])

    def _begin(self, rng: np.random.Generator) -> None:
        """Puts the hand where the episode starts."""
        self.panda.pose(placement(DOWN, rng.uniform(REACH_LOW_M, REACH_HIGH_M)), STROKE_M, START_RAD)

    def step(self, target: Array, gripper: GripperCommand) -> None:
        """robosuite's operational-space controller follows the target, its finger servos the width."""
        grip = target @ self._grip
        quaternion = quaternion_of_rotation(grip[:3, :3])
        angle = angle_between(np.eye(3), grip[:3, :3])
        axis = quaternion[:3] / max(float(np.linalg.norm(quaternion[:3])), 1e-12)
        # robosuite's gripper adds up signs of actions; a width is told to it beside them.
        opening = 2.0 * gripper.width_m / STROKE_M - 1.0
        self.env.robots[0].gripper["right"].current_action = np.array([opening, -opening])
        self.env.step(np.concatenate([grip[:3, 3], axis * angle, [0.0]]))

    def arm(self) -> ArmState:
        """From MuJoCo's state."""
        return self.panda.state()

    def render(self) -> Image:
        """robosuite's off-screen picture, which comes upside down."""
        image: Image = self.env.sim.render(camera_name=self._view, width=self._px, height=self._px)
        return np.ascontiguousarray(image[::-1])

    def verdict(self) -> Verdict:
        """robosuite's own."""
        return Verdict(bool(self.env._check_success()), f"robosuite's {type(self.env).__name__} says so")

    def goals(self) -> Sequence[Goal]:
        """None: a scenario's own pictures are used."""
        return []

    def _posed(self, *poses: tuple[str, Array, float, Array | None]) -> list[Goal]:
        """Pictures of poses: name, hand, width, and where the object is. The scene is as before afterwards."""
        before, yaw_rad = self.env.sim.get_state(), self.cube_yaw_rad
        goals = []
        for name, hand, width_m, object_m in poses:
            if object_m is not None:
                self._place(object_m, yaw_rad)
            self.panda.pose(hand, width_m)
            x, y, z = (float(v) for v in hand[:3, 3])
            pose = (x, y, z, math.pi, 0.0, 0.0, 1.0 - width_m / STROKE_M)
            goals.append(Goal(name, self.render(), pose))
        self.env.sim.set_state(before)
        self.env.sim.forward()
        return goals

    @property
    def cube_m(self) -> Array:
        """The cube of robosuite's Lift, in the base frame."""
        world = placement(np.eye(3), self.env.sim.data.body_xpos[self.env.cube_body_id])
        return self.panda.in_base(world)[:3, 3]

    @property
    def cube_yaw_rad(self) -> float:
        """How far it is turned on the table."""
        x_axis = self.env.sim.data.body_xmat[self.env.cube_body_id].reshape(3, 3)[:, 0]
        return math.atan2(x_axis[1], x_axis[0])

    def _place(self, cube_m: Array, yaw_rad: float) -> None:
        """Puts the cube there, flat."""
        world = self.panda.in_world(placement(np.eye(3), cube_m))[:3, 3]
        turned = [math.cos(yaw_rad / 2), 0.0, 0.0, math.sin(yaw_rad / 2)]
        self.env.sim.data.set_joint_qpos(self.env.cube.joints[0], np.concatenate([world, turned]))


class Reach(RobosuiteArm):
    """The open hand goes to a place above robosuite's table with one cube."""

    goal_m: Array

    def _begin(self, rng: np.random.Generator) -> None:
        start_m = self.goal_m = rng.uniform(REACH_LOW_M, REACH_HIGH_M)
        while np.linalg.norm(self.goal_m - start_m) < 2 * REACHED_M:
            self.goal_m = rng.uniform(REACH_LOW_M, REACH_HIGH_M)
        self.panda.pose(placement(DOWN, start_m), STROKE_M, START_RAD)

    def goals(self) -> Sequence[Goal]:
        """The open hand there."""
        return self._posed(("reach", placement(DOWN, self.goal_m), STROKE_M, None))

    def verdict(self) -> Verdict:
        """By where MuJoCo has the hand."""
        off_m = float(np.linalg.norm(self.arm().o_t_ee[:3, 3] - self.goal_m))
        return Verdict(off_m < REACHED_M, f"the hand is {100 * off_m:.1f} cm from its goal")


class Push(RobosuiteArm):
    """The closed hand, which starts beside the cube, pushes it 8 to 12 cm."""

    to_m: Array

    def _begin(self, rng: np.random.Generator) -> None:
        heading = rng.uniform(0.0, 2.0 * math.pi)
        self._way = np.array([math.cos(heading), math.sin(heading), 0.0])
        cube_m = self.cube_m
        cube_m[2] = TABLE_M + 0.021
        # A face towards the hand: a corner would slide off.
        self._place(cube_m, heading)
        self.to_m = cube_m + rng.uniform(0.08, 0.12) * self._way
        self.panda.pose(self._behind(cube_m, BESIDE_M), 0.0, START_RAD)

    def _behind(self, cube_m: Array, far_m: float) -> Array:
        # As low as the envelope's table clearance lets it: pushed above its middle, the cube tips over.
        return placement(DOWN, cube_m - far_m * self._way - [0.0, 0.0, 0.007])

    def goals(self) -> Sequence[Goal]:
        """The hand behind the cube where it should be."""
        return self._posed(("push", self._behind(self.to_m, TOUCHING_M), 0.0, self.to_m))

    def verdict(self) -> Verdict:
        """By where MuJoCo has the cube."""
        off_m = float(np.linalg.norm((self.cube_m - self.to_m)[:2]))
        return Verdict(off_m < PUSHED_M, f"the cube is {100 * off_m:.1f} cm from where it should be")


class Lift(RobosuiteArm):
    """robosuite's Lift: the hand starts anywhere above the table."""

    def goals(self) -> Sequence[Goal]:
        """The hand above the cube, around it, holding it, and with it in the air."""
        cube_m, yaw_rad = self.cube_m, self.cube_yaw_rad
        up = np.array([0.0, 0.0, LIFTED_M])
        # The fingers close along y and meet the cube as it is turned.
        side_m = 2.0 * float(self.env.sim.model.geom_size[self.env.sim.model.geom_name2id("cube_g0")][0])
        held_m = side_m * (abs(math.cos(yaw_rad)) + abs(math.sin(yaw_rad)))
        return self._posed(
            ("above", placement(DOWN, cube_m + up), STROKE_M, None),
            ("grasp", placement(DOWN, cube_m), held_m, None),
            ("lift", placement(DOWN, cube_m + up), held_m, cube_m + up),
        )


def make(name: str, image_px: int = 128) -> RobosuiteArm:
    """`Reach`, `Push` and `Lift` with goals; any other of robosuite's environments without."""
    tasks: dict[str, type[RobosuiteArm]] = {"Reach": Reach, "Push": Push, "Lift": Lift}
    if name in tasks:
        return tasks[name]("Lift", image_px)
    return RobosuiteArm(name, image_px)
