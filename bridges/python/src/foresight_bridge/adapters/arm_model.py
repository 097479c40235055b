"""A Franka arm inside a MuJoCo model: what adapters of MuJoCo and of robosuite share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from ..environment import ArmState, Camera
from ..geometry import Array, euler_of_rotation, looking_at, placement, quaternion_of_rotation

TOOL_M = 0.1034
"""Franka Hand's tool point, along its z from the flange; the flange's frame is turned by -45° about z."""
FLANGE_M = 0.107
"""The flange along link 7's z."""
TURN = np.array([[1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, np.sqrt(2.0)]]) / np.sqrt(2.0)
OF_LINK7 = placement(TURN, (0.0, 0.0, FLANGE_M + TOOL_M))

LOOKS_BACK = np.diag([1.0, -1.0, -1.0])
"""MuJoCo's cameras look along their -z, with y up."""


class ArmModel:
    """Reads an arm's state from MuJoCo's, and poses it for goal pictures."""

    def __init__(
        self, model: Any, data: Any, joints: Sequence[str], fingers: Sequence[str], base: str, link7: str
    ) -> None:
        """Names of the seven joints, the finger joints, and the bodies of the base and link 7."""
        self.model, self.data = model, data
        ids = [self._id(mujoco.mjtObj.mjOBJ_JOINT, name) for name in joints]
        self.qpos = np.array([model.jnt_qposadr[i] for i in ids])
        self.dofs = np.array([model.jnt_dofadr[i] for i in ids])
        self.range_rad = np.array([model.jnt_range[i] for i in ids])
        finger_ids = [self._id(mujoco.mjtObj.mjOBJ_JOINT, name) for name in fingers]
        self.fingers = np.array([model.jnt_qposadr[i] for i in finger_ids])
        # Some models have a finger's axis outwards, some inwards.
        self.finger_signs = np.array([np.sign(model.jnt_range[i].sum()) for i in finger_ids])
        self._base = self._id(mujoco.mjtObj.mjOBJ_BODY, base)
        self._link7 = self._id(mujoco.mjtObj.mjOBJ_BODY, link7)

    def _id(self, kind: Any, name: str) -> int:
        found: int = mujoco.mj_name2id(self.model, kind, name)
        if found < 0:
            raise ValueError(f"the model has no {kind.name[6:].lower()} named {name!r}")
        return found

    def body(self, number: int) -> Array:
        """A body's placement in the world."""
        return placement(self.data.xmat[number].reshape(3, 3), self.data.xpos[number])

    def in_base(self, world: Array) -> Array:
        """A placement in the world as one in the arm's base frame."""
        seen: Array = np.linalg.inv(self.body(self._base)) @ world
        return seen

    def in_world(self, base: Array) -> Array:
        """The other way round."""
        seen: Array = self.body(self._base) @ base
        return seen

    def state(self) -> ArmState:
        """What is measured."""
        return ArmState(
            joints_rad=self.data.qpos[self.qpos].copy(),
            joint_speeds_rad_s=self.data.qvel[self.dofs].copy(),
            o_t_ee=self.in_base(self.body(self._link7) @ OF_LINK7),
            width_m=float(np.abs(self.data.qpos[self.fingers]).sum()),
        )

    def joint_steps(self, target: Array, damping: float = 1e-4) -> Array:
        """`[7]`: one damped least-squares step of the joints towards a placement in the base frame, rad."""
        here = self.body(self._link7) @ OF_LINK7
        goal = self.in_world(target)
        turn = goal[:3, :3] @ here[:3, :3].T
        turned = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        moving, turning = np.zeros((3, self.model.nv)), np.zeros((3, self.model.nv))
        mujoco.mj_jac(self.model, self.data, moving, turning, here[:3, 3], self._link7)
        jacobian = np.vstack([moving, turning])[:, self.dofs]
        off = np.concatenate([goal[:3, 3] - here[:3, 3], turned])
        step: Array = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + damping * np.eye(6), off)
        return step

    def pose(self, target: Array, width_m: float, start_rad: Array | None = None) -> None:
        """Puts the arm and the fingers there at once, without physics. Raises `ValueError` when it can't reach."""
        if start_rad is not None:
            self.data.qpos[self.qpos] = start_rad
        for _ in range(200):
            mujoco.mj_kinematics(self.model, self.data)
            mujoco.mj_comPos(self.model, self.data)
            step = self.joint_steps(target)
            if np.abs(step).max() < 1e-6:
                break
            self.data.qpos[self.qpos] = np.clip(self.data.qpos[self.qpos] + step, *self.range_rad.T)
        self.data.qvel[self.dofs] = 0.0
        self.data.qpos[self.fingers] = self.finger_signs * width_m / 2
        mujoco.mj_forward(self.model, self.data)
        off_m = float(np.linalg.norm(self.state().o_t_ee[:3, 3] - target[:3, 3]))
        if off_m > 2e-3:
            raise ValueError(f"the arm can't reach {np.round(target[:3, 3], 3)} m: {off_m * 1e3:.0f} mm are missing")

    def aim(self, name: str, eye_m: Sequence[float], at_m: Sequence[float]) -> None:
        """Moves a camera that is fixed in the world, in the base frame."""
        number = self._id(mujoco.mjtObj.mjOBJ_CAMERA, name)
        world = self.in_world(placement(looking_at(eye_m, at_m), eye_m))
        x, y, z, w = quaternion_of_rotation(world[:3, :3] @ LOOKS_BACK)
        self.model.cam_pos[number] = world[:3, 3]
        self.model.cam_quat[number] = (w, x, y, z)
        mujoco.mj_forward(self.model, self.data)

    def camera(self, name: str, width_px: int, height_px: int) -> Camera:
        """A camera of the model."""
        number = self._id(mujoco.mjtObj.mjOBJ_CAMERA, name)
        turned = self.data.cam_xmat[number].reshape(3, 3) @ LOOKS_BACK
        seen = self.in_base(placement(turned, self.data.cam_xpos[number]))
        angles = euler_of_rotation(seen[:3, :3])
        focal_px = height_px / 2 / np.tan(np.deg2rad(self.model.cam_fovy[number]) / 2)
        x, y, z, rx, ry, rz = (float(v) for v in (*seen[:3, 3], *angles))
        return Camera(width_px, height_px, float(focal_px), (x, y, z, rx, ry, rz))
