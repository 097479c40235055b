"""What a simulator has to be for a bridge, and what it may be besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .geometry import Array

Image = NDArray[np.uint8]


class EnvironmentFault(Exception):
    """The arm broke off, as a reflex of a real one does. A client's `recover` clears it."""


@dataclass(frozen=True)
class ArmState:
    """What is measured of the arm, in its base frame."""

    joints_rad: Array
    """`[7]`, in Franka's order and signs."""
    joint_speeds_rad_s: Array
    """`[7]`."""
    o_t_ee: Array
    """`[4, 4]`: the end effector in the base frame, m. Franka Hand's tool point is 0.1034 m along the hand's z."""
    width_m: float
    """Between the fingers."""


@dataclass(frozen=True)
class GripperCommand:
    """What the fingers are told."""

    width_m: float
    """Where to; 0 for a grasp, which closes until something stops it."""
    force_n: float | None = None
    """How hard to press, for a grasp; `None` for a move to a width."""


@dataclass(frozen=True)
class Camera:
    """Pinhole, upright; the frame's row 0 is its top."""

    width_px: int
    height_px: int
    focal_px: float
    """Of both axes; the principal point is the middle."""
    extrinsics: tuple[float, float, float, float, float, float]
    """x, y, z, m, and extrinsic xyz Euler angles, rad, in the arm's base frame; its z axis points into the
    picture, x to its right. A scenario's `camera.extrinsics`."""


@dataclass(frozen=True)
class Goal:
    """A sub-goal as the camera would see it."""

    name: str
    image: Image
    """`[height, width, 3]`, RGB."""
    pose: tuple[float, float, float, float, float, float, float] | None = None
    """The hand there: position, m, Euler angles, rad, closedness. Only reports and the oracle use it."""


@dataclass(frozen=True)
class Verdict:
    """Whether the task is achieved now, by the environment's own true state."""

    success: bool | None
    """`None` when it can't tell."""
    reason: str
    """Why, with numbers."""


class Environment(Protocol):
    """A simulated Franka arm, gripper and camera. Everything is called from one thread, the one that serves."""

    period_s: float
    """The time one `step` takes."""
    max_width_m: float
    """Between the fingers, open."""
    camera: Camera

    def reset(self, seed: int) -> None:
        """Begins the scene of that seed: the same scene for the same seed, whatever happened before."""

    def step(self, target: Array, gripper: GripperCommand) -> None:
        """Lets `period_s` pass while the end effector is led to `target`, `[4, 4]` in the base frame.

        Raises `EnvironmentFault` when the arm breaks off.
        """

    def arm(self) -> ArmState:
        """The arm now."""

    def render(self) -> Image:
        """What the camera sees now: `[height_px, width_px, 3]`, RGB, upright."""


@runtime_checkable
class Task(Protocol):
    """What an environment has besides for `foresight eval`."""

    def goals(self) -> Sequence[Goal]:
        """The running scene's sub-goals, in order. The scene is as before afterwards."""

    def verdict(self) -> Verdict:
        """Judged from the environment's true state, never from a picture."""
