"""An environment without a simulator: exact kinematics of the arm, a hand drawn as a dot. For tests only.

    python tests/fake.py tcp/127.0.0.1:7447 [--lock-step] [--goals DIR]
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

from foresight_bridge import ArmState, Bridge, Camera, EnvironmentFault, Goal, GripperCommand, Verdict
from foresight_bridge.geometry import Array, euler_of_rotation, looking_at, placement, rotation_of_euler

# Denavit and Hartenberg's parameters of the FR3 in Craig's convention, from Franka's documentation: a, d, alpha.
LINKS = [
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -math.pi / 2),
    (0.0, 0.316, math.pi / 2),
    (0.0825, 0.0, math.pi / 2),
    (-0.0825, 0.384, -math.pi / 2),
    (0.0, 0.0, math.pi / 2),
    (0.088, 0.0, math.pi / 2),
]
FLANGE_M = 0.107
HAND = placement(rotation_of_euler((0.0, 0.0, -math.pi / 4)), (0.0, 0.0, 0.1034))
READY = np.array([0.0, -math.pi / 4, 0.0, -3 * math.pi / 4, 0.0, math.pi / 2, math.pi / 4])
DOWN = rotation_of_euler((math.pi, 0.0, 0.0))
FASTEST_RAD_S = 1.5
FINGERS_M_S = 0.1
TOLERANCE_M = 0.02


def frames(joints_rad: Array) -> list[Array]:
    """Each joint's frame, which turns about its z axis, and `O_T_EE` of the Franka Hand last."""
    at, passed = np.eye(4), []
    for (a, d, alpha), turn in zip(LINKS, joints_rad):
        s, c, sa, ca = math.sin(turn), math.cos(turn), math.sin(alpha), math.cos(alpha)
        at = at @ np.array([[c, -s, 0, a], [s * ca, c * ca, -sa, -d * sa], [s * sa, c * sa, ca, d * ca], [0, 0, 0, 1]])
        passed.append(at)
    return [*passed, at @ placement(np.eye(3), (0.0, 0.0, FLANGE_M)) @ HAND]


def forward(joints_rad: Array) -> Array:
    """`O_T_EE` of the Franka Hand."""
    return frames(joints_rad)[-1]


def towards(joints_rad: Array, target: Array) -> Array:
    """One damped step of the joints towards a placement."""
    *axes, here = frames(joints_rad)
    turn = target[:3, :3] @ here[:3, :3].T
    turned = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    off = np.concatenate([target[:3, 3] - here[:3, 3], turned])
    columns = [np.concatenate([np.cross(f[:3, 2], here[:3, 3] - f[:3, 3]), f[:3, 2]]) for f in axes]
    jacobian = np.stack(columns, axis=1)
    return jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 1e-5 * np.eye(6), off)


class FakeArm:
    """Reaches a point above a table. An object of `object_m` stops the fingers."""

    period_s = 0.02
    max_width_m = 0.08

    def __init__(self) -> None:
        eye, at = (1.2, 0.0, 0.8), (0.5, 0.0, 0.1)
        angles = euler_of_rotation(looking_at(eye, at))
        self.camera = Camera(64, 64, 80.0, (*eye, *(float(v) for v in angles)))
        self.object_m = 0.0
        self.breaks_off = False
        self.steps = 0
        self.reset(0)

    def reset(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        while True:
            start, self.goal_m = rng.uniform([0.42, -0.14, 0.14], [0.58, 0.14, 0.24], (2, 3))
            if np.linalg.norm(start - self.goal_m) > 2 * TOLERANCE_M or seed == 13:
                break
        if seed == 13:  # an unlucky one: it starts where it should go
            self.goal_m = start
        self.width_m = self.max_width_m
        self.speeds = np.zeros(7)
        self.joints = READY.copy()
        for _ in range(100):
            self.joints += towards(self.joints, placement(DOWN, start))

    def step(self, target: Array, gripper: GripperCommand) -> None:
        self.steps += 1
        if self.breaks_off:
            self.breaks_off = False
            raise EnvironmentFault("a reflex, by request")
        speeds = towards(self.joints, target) / self.period_s * 0.5
        speeds *= min(1.0, FASTEST_RAD_S / max(np.abs(speeds).max(), 1e-9))
        self.joints = self.joints + speeds * self.period_s
        self.speeds = speeds
        most = FINGERS_M_S * self.period_s
        wanted = max(gripper.width_m, self.object_m)
        self.width_m += float(np.clip(wanted - self.width_m, -most, most))

    def arm(self) -> ArmState:
        return ArmState(self.joints, self.speeds, forward(self.joints), self.width_m)

    def render(self) -> np.ndarray:
        return self._drawn(forward(self.joints)[:3, 3])

    def _drawn(self, hand_m: Array) -> np.ndarray:
        image = np.full((64, 64, 3), 90, dtype=np.uint8)
        row, column = int((hand_m[0] - 0.3) / 0.4 * 64), int((hand_m[1] + 0.2) / 0.4 * 64)
        side = 2 + int(hand_m[2] * 10)
        image[max(row - side, 0) : row + side, max(column - side, 0) : column + side] = (200, 120, 30)
        return image

    def goals(self) -> list[Goal]:
        pose = (*(float(v) for v in self.goal_m), math.pi, 0.0, 0.0, 0.0)
        return [Goal("reach", self._drawn(self.goal_m), pose)]

    def verdict(self) -> Verdict:
        off_m = float(np.linalg.norm(forward(self.joints)[:3, 3] - self.goal_m))
        return Verdict(off_m < TOLERANCE_M, f"the hand is {100 * off_m:.1f} cm from its goal")


if __name__ == "__main__":
    environment = FakeArm()
    if "--goals" in sys.argv:
        from foresight_bridge.__main__ import save_goals

        save_goals(environment, Path(sys.argv[sys.argv.index("--goals") + 1]))
    Bridge(environment, listen=[sys.argv[1]], lock_step="--lock-step" in sys.argv).serve()
