"""Which targets are refused: franka-node's rules for Cartesian ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import wire
from .geometry import Array, angle_between, rotation_of_quaternion

UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Limits:
    """franka-node's defaults; a simulator needs no others."""

    max_step_m: float = 0.05
    max_step_rad: float = 0.26
    max_lead_m: float = 0.05
    max_lead_rad: float = 0.26
    rate_hz: float = 250.0
    hold_after_s: float = 0.2
    stop_after_s: float = 2.0
    max_deviation_m: float = 0.3
    max_deviation_rad: float = 0.5


class Guard:
    """Judges one session's targets."""

    def __init__(self, limits: Limits, holder: int, start: Array, now_s: float) -> None:
        self.limits = limits
        self.holder = holder
        self.previous = start
        """The last accepted target: position, m, and quaternion xyzw."""
        self.last_seq = 0
        self._tokens = 2.0 * limits.rate_hz
        self._filled_s = now_s

    def from_commander(self, target: wire.Target) -> bool:
        """Whether it is a sign of life of whoever commands: its own kind, the holder's, in order."""
        mine = target.kind == wire.CARTESIAN and target.client == self.holder != 0
        return mine and target.seq > self.last_seq

    def check(self, target: wire.Target, now_s: float, measured: Array) -> str | None:
        """Takes a target in, or says why it is refused. `measured` is where the arm is, as a target."""
        reason = self._judge(target, now_s, measured)
        if reason is None:
            self._tokens -= 1.0
            self.last_seq = target.seq
            self.previous = target.data
        return reason

    def _judge(self, target: wire.Target, now_s: float, measured: Array) -> str | None:
        if target.kind != wire.CARTESIAN:
            return "joints target in cartesian mode"
        if target.client == 0 or target.client != self.holder:
            return f"client {target.client} is not the holder"
        if target.seq <= self.last_seq:
            return f"seq {target.seq} not after {self.last_seq}"
        if not np.isfinite(target.data).all():
            return "not finite"
        norm = float(np.linalg.norm(target.data[3:]))
        if abs(norm - 1.0) > UNIT_TOLERANCE:
            return f"quaternion norm {norm:.4f} not unit"
        step_m, step_rad = _apart(measured if target.anchor else self.previous, target.data)
        lead_m, lead_rad = _apart(measured, target.data)
        limits = self.limits
        if step_m > limits.max_step_m:
            return f"step {step_m:.3f} m too large"
        if step_rad > limits.max_step_rad:
            return f"rotation step {step_rad:.3f} rad too large"
        if lead_m > limits.max_lead_m:
            return f"lead {lead_m:.3f} m too large"
        if lead_rad > limits.max_lead_rad:
            return f"lead rotation {lead_rad:.3f} rad too large"
        filled = self._tokens + (now_s - self._filled_s) * limits.rate_hz
        self._tokens, self._filled_s = min(filled, 2.0 * limits.rate_hz), now_s
        return "rate limit" if self._tokens < 1.0 else None


def _apart(a: Array, b: Array) -> tuple[float, float]:
    """How far two targets are apart, m and rad."""
    turned = angle_between(rotation_of_quaternion(a[3:]), rotation_of_quaternion(b[3:]))
    return float(np.linalg.norm(b[:3] - a[:3])), turned
