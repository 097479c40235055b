"""A Franka arm in bare MuJoCo, of any MJCF whose joints end in `joint1` to `joint7` and `finger_joint1`, `finger_joint2`.

MuJoCo Menagerie's `franka_emika_panda/panda.xml` is one (the package `mujoco-menagerie` downloads it where the network
allows); robosuite carries another, which `robosuite_panda()` composes without its physics loop. The arm's own actuators
are switched off: computed torque leads the joints, which damped least squares find for a pose, and a force-limited
servo the fingers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "osmesa")

import mujoco
import numpy as np

from ..environment import ArmState, GripperCommand, Image
from ..geometry import Array
from .arm_model import ArmModel

READY_RAD = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])
FREQUENCY = 25.0
"""Of the joints' critically damped following, rad/s."""
LEAD_RAD = 0.1
"""How far the joints are led ahead of where they are: at most 1.25 rad/s."""
FINGER_FORCE_N = 20.0
FINGER_N_M, FINGER_N_S_M = 2000.0, 60.0
CAMERA = "foresight"


class MujocoArm:
    """Follows poses; a subclass that has a task draws its scene in `reset` and adds `goals` and `verdict`."""

    period_s = 0.02

    def __init__(
        self,
        xml: str | Path | None = None,
        *,
        image_px: int = 128,
        eye_m: Sequence[float] = (1.25, 0.55, 0.75),
        look_at_m: Sequence[float] = (0.45, 0.0, 0.2),
        fovy_deg: float = 45.0,
    ) -> None:
        """`xml` is a file or MJCF text, robosuite's Panda where it isn't given; the camera is placed in the base frame."""
        text = str(xml) if xml is not None else robosuite_panda()
        spec = mujoco.MjSpec.from_string(text) if text.lstrip().startswith("<") else mujoco.MjSpec.from_file(text)
        spec.worldbody.add_camera(name=CAMERA, fovy=fovy_deg)
        self.model: Any = spec.compile()
        self.data: Any = mujoco.MjData(self.model)
        names = [self.model.joint(i).name for i in range(self.model.njnt)]
        joints = [_one(names, f"joint{i}", not_in="finger") for i in range(1, 8)]
        fingers = [_one(names, f"finger_joint{i}") for i in (1, 2)]
        base, link7 = self.model.joint(joints[0]).bodyid[0], self.model.joint(joints[6]).bodyid[0]
        base = self.model.body_parentid[base]
        self.panda = ArmModel(
            self.model, self.data, joints, fingers, self.model.body(base).name, self.model.body(link7).name
        )
        self._finger_dofs = np.array([self.model.joint(name).dofadr[0] for name in fingers])
        self._finger_signs = self.panda.finger_signs
        self.max_width_m = float(sum(np.abs(self.model.joint(name).range).max() for name in fingers))
        self.model.actuator_gainprm[:] = 0.0
        self.model.actuator_biasprm[:] = 0.0
        self._wanted_rad = READY_RAD
        self.reset(0)
        self.panda.aim(CAMERA, eye_m, look_at_m)
        self.camera = self.panda.camera(CAMERA, image_px, image_px)
        self._renderer = mujoco.Renderer(self.model, image_px, image_px)

    def reset(self, seed: int) -> None:
        """The model's own beginning, the hand open at the ready pose: the same for every seed."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self.panda.qpos] = READY_RAD
        self.data.qpos[self.panda.fingers] = self._finger_signs * self.max_width_m / 2
        self._wanted_rad = READY_RAD.copy()
        mujoco.mj_forward(self.model, self.data)

    def step(self, target: Array, gripper: GripperCommand) -> None:
        """Computed torque towards the target's joints."""
        self._wanted_rad = self.data.qpos[self.panda.qpos] + np.clip(
            self.panda.joint_steps(target), -LEAD_RAD, LEAD_RAD
        )
        for _ in range(round(self.period_s / self.model.opt.timestep)):
            self._apply(gripper)
            mujoco.mj_step(self.model, self.data)

    def _apply(self, gripper: GripperCommand) -> None:
        data, dofs = self.data, self.panda.dofs
        off = self._wanted_rad - data.qpos[self.panda.qpos]
        wanted = np.zeros(self.model.nv)
        wanted[dofs] = FREQUENCY**2 * off - 2.0 * FREQUENCY * data.qvel[dofs]
        torque = np.zeros(self.model.nv)
        mujoco.mj_mulM(self.model, data, torque, wanted)
        data.qfrc_applied[dofs] = torque[dofs] + data.qfrc_bias[dofs] - data.qfrc_passive[dofs]
        fingers = self._finger_dofs
        at_m = self._finger_signs * gripper.width_m / 2
        force = FINGER_N_M * (at_m - data.qpos[self.panda.fingers]) - FINGER_N_S_M * data.qvel[fingers]
        most = FINGER_FORCE_N if gripper.force_n is None else min(gripper.force_n, 70.0)
        data.qfrc_applied[fingers] = np.clip(force, -most, most)

    def arm(self) -> ArmState:
        """From MuJoCo's state."""
        return self.panda.state()

    def render(self) -> Image:
        """MuJoCo's off-screen picture, upright."""
        self._renderer.update_scene(self.data, CAMERA)
        image: Image = self._renderer.render()
        return image


def robosuite_panda() -> str:
    """The Panda that robosuite carries, with its hand above a table, as MJCF text."""
    from robosuite.models import MujocoWorldBase
    from robosuite.models.arenas import TableArena
    from robosuite.models.grippers import gripper_factory
    from robosuite.models.robots import Panda

    world, robot = MujocoWorldBase(), Panda()
    robot.add_gripper(gripper_factory("PandaGripper"), robot.eef_name["right"])
    robot.set_base_xpos([-0.56, 0.0, 0.8])
    world.merge(robot)
    world.merge(TableArena())
    text: str = world.get_xml()
    return text


def _one(names: list[str], suffix: str, not_in: str = "\0") -> str:
    found = [name for name in names if name.endswith(suffix) and not_in not in name]
    if len(found) != 1:
        raise ValueError(f"{len(found)} joints of this model end in {suffix!r}, where one should: {names}")
    return found[0]
