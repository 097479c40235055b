"""The bytes of franka-node 0.4 and franka-cam 0.4: little-endian, without padding."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from .geometry import Array

VERSION = 1
TARGET = struct.Struct("<BBHIQQ7d")
STATE = struct.Struct("<BBBBHIQQQQd7d7d7d16d6d7dQQQ")
GRIPPER = struct.Struct("<BBHIQQdd")
GRIPPER_STATE = struct.Struct("<BBHIQddd")
FRAME = struct.Struct("<BBHHHIQQQ")

CARTESIAN, JOINTS = 1, 2
ANCHOR = 1
HOLDING = 1
WIDTH, GRASP = 1, 2
CALIBRATED, GRASPED, MOVING = 1, 2, 4
MJPEG = 1
MONOTONIC_START_OF_EXPOSURE = 3


class Phase(IntEnum):
    """Phases of an arm; a bridge has no homing of its own."""

    IDLE = 0
    ACQUIRED = 1
    ACTIVE = 2
    STOPPING = 3
    FAULTED = 4


class RobotMode(IntEnum):
    """What a robot says of itself, as far as a bridge says it."""

    IDLE = 1
    MOVE = 2
    REFLEX = 4


class Target(NamedTuple):
    """A pose target: position, m, and quaternion xyzw; or joints, rad."""

    kind: int
    anchor: bool
    client: int
    seq: int
    sent_ns: int
    data: Array


class GripperTarget(NamedTuple):
    """A width to move to, or to grasp at."""

    kind: int
    client: int
    seq: int
    width_m: float
    force_n: float


@dataclass(frozen=True)
class StateFields:
    """What `franka/<arm>/state` says; the forces are none."""

    phase: Phase
    mode: RobotMode
    holding: bool
    client: int
    seq_accepted: int
    sent_ns_accepted: int
    node_ns: int
    robot_ms: int
    joints_rad: Array
    joint_speeds_rad_s: Array
    o_t_ee: Array
    target: Array
    accepted: int
    refused: int
    dropped: int

    def encode(self) -> bytes:
        """474 bytes."""
        return STATE.pack(
            VERSION,
            self.phase,
            self.mode,
            self.phase == Phase.FAULTED,
            HOLDING if self.holding else 0,
            self.client,
            self.seq_accepted,
            self.sent_ns_accepted,
            self.node_ns,
            self.robot_ms,
            1.0 if self.phase == Phase.ACTIVE else 0.0,
            *self.joints_rad,
            *self.joint_speeds_rad_s,
            *np.zeros(7),
            *self.o_t_ee.flatten(order="F"),
            *np.zeros(6),
            *self.target,
            self.accepted,
            self.refused,
            self.dropped,
        )


def decode_target(data: bytes) -> Target | None:
    """A target; `None` for what is none of this version."""
    if len(data) != TARGET.size:
        return None
    version, kind, flags, client, seq, sent_ns, *values = TARGET.unpack(data)
    if version != VERSION or kind not in (CARTESIAN, JOINTS):
        return None
    return Target(kind, bool(flags & ANCHOR), client, seq, sent_ns, np.array(values))


def decode_gripper(data: bytes) -> GripperTarget | None:
    """A gripper's command; `None` for what is none of this version."""
    if len(data) != GRIPPER.size:
        return None
    version, kind, _, client, seq, _, width_m, force_n = GRIPPER.unpack(data)
    if version != VERSION or kind not in (WIDTH, GRASP):
        return None
    return GripperTarget(kind, client, seq, width_m, force_n)


def encode_frame(jpeg: bytes, width_px: int, height_px: int, seq: int, ns: int, wall_ns: int) -> bytes:
    """A frame captured and sent at `ns` of the monotonic clock."""
    header = (VERSION, MJPEG, MONOTONIC_START_OF_EXPOSURE, width_px, height_px, seq % 2**32)
    return FRAME.pack(*header, ns, ns, wall_ns) + jpeg
