"""Rotations and placements as the arm's wire and Foresight's poses have them.

A placement is a 4×4 matrix: `O_T_EE`, the end effector in the arm's base frame, m. On the wire of targets it is
position and unit quaternion (x, y, z, w). A pose has seven numbers: position, m; extrinsic xyz Euler angles, rad
(`R = Rz·Ry·Rx`); closedness of the gripper, 0 open to 1 closed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def placement(rotation: Array, position_m: Sequence[float] | Array) -> Array:
    """The 4×4 matrix of a 3×3 rotation and a position."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = position_m
    return matrix


def rotation_of_quaternion(xyzw: Sequence[float] | Array) -> Array:
    """The rotation of a quaternion, which is normalised first."""
    x, y, z, w = np.asarray(xyzw, dtype=float) / np.linalg.norm(xyzw)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_of_rotation(rotation: Array) -> Array:
    """The unit quaternion (x, y, z, w) of a rotation, w ≥ 0."""
    r = rotation
    # The largest of the four is divided by: none is near zero then.
    squares = np.array(
        [
            1 + r[0, 0] - r[1, 1] - r[2, 2],
            1 - r[0, 0] + r[1, 1] - r[2, 2],
            1 - r[0, 0] - r[1, 1] + r[2, 2],
            1 + r[0, 0] + r[1, 1] + r[2, 2],
        ]
    )
    products = np.array(
        [
            [squares[0], r[1, 0] + r[0, 1], r[0, 2] + r[2, 0], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], squares[1], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[0, 2] + r[2, 0], r[2, 1] + r[1, 2], squares[2], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], squares[3]],
        ]
    )
    q: Array = products[int(np.argmax(squares))]
    q = q / np.linalg.norm(q)
    return q if q[3] >= 0 else -q


def euler_of_rotation(rotation: Array) -> Array:
    """Extrinsic xyz Euler angles, rad: `R = Rz(rz)·Ry(ry)·Rx(rx)`."""
    r = rotation
    level = math.hypot(r[0, 0], r[1, 0])
    if level < 1e-9:  # gimbal lock: rz is taken for 0
        return np.array([math.atan2(-r[1, 2], r[1, 1]), math.atan2(-r[2, 0], level), 0.0])
    return np.array(
        [math.atan2(r[2, 1], r[2, 2]), math.atan2(-r[2, 0], level), math.atan2(r[1, 0], r[0, 0])]
    )


def rotation_of_euler(rx_ry_rz: Sequence[float] | Array) -> Array:
    """The rotation of extrinsic xyz Euler angles, rad."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(rx_ry_rz), np.cos(rx_ry_rz)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    turned: Array = about_z @ about_y @ about_x
    return turned


def angle_between(a: Array, b: Array) -> float:
    """The angle from one rotation to another, rad. Exact for small ones, where a trace is not."""
    between = a.T @ b
    sine = np.linalg.norm(
        [between[2, 1] - between[1, 2], between[0, 2] - between[2, 0], between[1, 0] - between[0, 1]]
    )
    return math.atan2(float(sine), float(np.trace(between)) - 1.0)


def looking_at(eye_m: Sequence[float], at_m: Sequence[float]) -> Array:
    """The rotation of a camera at `eye_m` that looks at `at_m`, upright: z into the picture, x to its right."""
    forward = np.subtract(at_m, eye_m)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward], axis=1)
