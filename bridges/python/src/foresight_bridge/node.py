"""One arm as franka-node runs it: lease, session, guard, watchdogs, gripper. Knows no zenoh and no threads."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from . import wire
from .environment import ArmState, Environment, EnvironmentFault, GripperCommand
from .geometry import Array, angle_between, placement, quaternion_of_rotation, rotation_of_quaternion
from .guard import Guard, Limits
from .wire import Phase, RobotMode

log = logging.getLogger(__name__)

Reply = Callable[[str | None], None]
"""Answers a command: `None` when it was carried out, else why not."""

REST_RAD_S = 0.01
"""Joints slower than this are at rest after a stop."""
SETTLE_S = 3.0
"""How long a stop may wait for that."""
GRASP_EPSILON_M = 0.005
"""The Franka Hand reports a grasp only when its fingers stop this near the width asked for."""
CLOSED_M = 0.002
"""Fingers nearer than this hold nothing."""
FINGERS_STILL_M_S = 0.002
FINGER_SAMPLES = 5
VERBS = ("acquire", "release", "enable", "stop", "recover", "home", "gripper_home", "gripper_stop")


class ArmNode:
    """The state machine in front of an environment. Time that passes in the environment passes in `step`."""

    def __init__(
        self,
        environment: Environment,
        limits: Limits,
        stopping: Callable[[], None] = lambda: None,
        pace: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`stopping` is called as a stop begins, `pace` after every step that a stop takes, with its seconds."""
        self._environment = environment
        self._limits = limits
        self._stopping = stopping
        self._pace = pace
        self.phase = Phase.IDLE
        self.holder = 0
        self._alive: set[int] = set()
        self._guard: Guard | None = None
        self._start: Array = np.eye(4)
        self.holding = False
        self._last_accept_s = self._last_target_s = 0.0
        self.accepted = self.refused = self.dropped = 0
        self._last = (0, 0)
        self.time_s = 0.0
        """Time that has passed in the environment; never runs backwards, whatever is reset."""
        self.idle_s = 0.0
        """Time in which it was left standing still."""
        self._homing: tuple[deque[float], Reply] | None = None
        self._gripper_seq: tuple[int, int] | None = None
        self.measured: ArmState
        self.forget()

    def forget(self) -> None:
        """The environment was reset: the arm is held where it is now, the fingers as wide as they are."""
        self.measured = self._environment.arm()
        self._led: Array = self.measured.o_t_ee
        self._gripper = GripperCommand(self.measured.width_m)
        self._commanded_m = self.measured.width_m
        self._widths = deque([self.measured.width_m], maxlen=FINGER_SAMPLES)

    # Time

    def step(self) -> None:
        """Lets the environment's period pass."""
        try:
            self._environment.step(self._led, self._gripper)
        except EnvironmentFault as fault:
            self._fault(str(fault))
        self.time_s += self._environment.period_s
        self.measured = self._environment.arm()
        self._widths.append(self.measured.width_m)
        if self.phase == Phase.ACTIVE:
            strayed_m = float(np.linalg.norm(self.measured.o_t_ee[:3, 3] - self._start[:3, 3]))
            strayed_rad = angle_between(self._start[:3, :3], self.measured.o_t_ee[:3, :3])
            if strayed_m > self._limits.max_deviation_m or strayed_rad > self._limits.max_deviation_rad:
                self._fault(f"strayed {strayed_m:.2f} m, {strayed_rad:.2f} rad from the session's start")
        if self._homing and not self.fingers_moving:
            widths, reply = self._homing
            if widths:
                self._move_fingers(GripperCommand(widths.popleft()))
            else:
                self._homing = None
                reply(None)

    @property
    def needs_time(self) -> bool:
        """Whether something moves that no target asked for: fingers outside a session."""
        return self._homing is not None or (self.phase != Phase.ACTIVE and self.fingers_moving)

    def watchdog(self) -> None:
        """Holds, and stops, an arm whose commander is silent."""
        if self.phase != Phase.ACTIVE:
            return
        now_s = time.monotonic()
        if now_s - self._last_target_s >= self._limits.stop_after_s:
            self._stop("no target within stop_after")
        elif now_s - self._last_accept_s >= self._limits.hold_after_s:
            self.holding = True

    # Targets

    def target(self, target: wire.Target) -> bool:
        """Judges a target; whether it came from the session's commander."""
        if self.phase != Phase.ACTIVE or self._guard is None:
            self.refused += 1
            return False
        now_s = time.monotonic()
        commander = self._guard.from_commander(target)
        reason = self._guard.check(target, now_s, as_target(self.measured.o_t_ee))
        if commander:
            self._last_target_s = now_s
        if reason is not None:
            self.refused += 1
            log.debug("target seq %d from %d refused: %s", target.seq, target.client, reason)
            return commander
        self._led = placement(rotation_of_quaternion(target.data[3:]), target.data[:3])
        self.accepted += 1
        self._last = (target.seq, target.sent_ns)
        self._last_accept_s = now_s
        self.holding = False
        return True

    def gripper_target(self, target: wire.GripperTarget) -> None:
        """A gripper command: the holder's, in any phase."""
        reason = self._gripper_refusal(target)
        if reason is not None:
            self.refused += 1
            log.debug("gripper seq %d from %d refused: %s", target.seq, target.client, reason)
            return
        self._gripper_seq = (target.client, target.seq)
        if target.kind == wire.WIDTH:
            command = GripperCommand(target.width_m)
        else:
            # It closes until it meets something; the width only decides what counts as success.
            command = GripperCommand(0.0, target.force_n)
        self._move_fingers(command)
        self._commanded_m = target.width_m

    def _gripper_refusal(self, target: wire.GripperTarget) -> str | None:
        if target.client == 0 or target.client != self.holder:
            return f"client {target.client} is not the holder"
        if self._gripper_seq and self._gripper_seq[0] == target.client and target.seq <= self._gripper_seq[1]:
            return f"seq {target.seq} not after {self._gripper_seq[1]}"
        if not (math.isfinite(target.width_m) and target.width_m >= 0.0):
            return "width must be finite and non-negative"
        if target.width_m > self._environment.max_width_m:
            return f"width {target.width_m:.4f} beyond max width {self._environment.max_width_m:.4f}"
        if target.kind == wire.GRASP and not (math.isfinite(target.force_n) and target.force_n >= 0.0):
            return "force must be finite and non-negative"
        return None

    def _move_fingers(self, command: GripperCommand) -> None:
        self._gripper = command
        self._commanded_m = command.width_m
        # Nothing has been seen of this command yet.
        self._widths.clear()

    @property
    def fingers_moving(self) -> bool:
        """Whether the fingers moved over the last samples, or have been told to since."""
        if len(self._widths) < FINGER_SAMPLES:
            return self._gripper.width_m != self.measured.width_m
        travelled_m = max(self._widths) - min(self._widths)
        return travelled_m > FINGERS_STILL_M_S * FINGER_SAMPLES * self._environment.period_s

    @property
    def grasped(self) -> bool:
        """As the Franka Hand reports it: stopped by something, near the width asked for."""
        stopped = self._gripper.force_n is not None and not self.fingers_moving
        near = abs(self.measured.width_m - self._commanded_m) < GRASP_EPSILON_M
        return stopped and near and self.measured.width_m > CLOSED_M

    # Commands

    def lease(self, client: int, alive: bool) -> None:
        """A client's liveliness token came or went."""
        if alive:
            self._alive.add(client)
            return
        self._alive.discard(client)
        if client == self.holder:
            if self.phase == Phase.ACTIVE:
                self._stop("lease lost")
            self.holder = 0
            if self.phase == Phase.ACQUIRED:
                self.phase = Phase.IDLE

    def command(self, verb: str, request: object, reply: Reply) -> None:
        """One of `VERBS`; `request` is its JSON."""
        if not isinstance(request, dict) or type(request.get("client_id")) is not int:
            return reply("bad request: client_id is missing")
        client: int = request["client_id"]
        for unknown in request.keys() - {"client_id", "mode", "speed", "episode"}:
            return reply(f"bad request: unknown field {unknown}")
        if verb == "gripper_home":
            return self._home_gripper(client, reply)
        handler = {
            "acquire": self._acquire,
            "release": self._release,
            "enable": lambda who: self._enable(who, request.get("mode", "cartesian")),
            "stop": self._stop_command,
            "recover": self._recover,
            "home": lambda _: "a bridge has no home: reset the environment instead",
            "gripper_stop": self._stop_gripper,
        }[verb]
        reply(handler(client))

    def _holds(self, client: int) -> str | None:
        return None if client != 0 and client == self.holder else f"client {client} is not the holder"

    def _acquire(self, client: int) -> str | None:
        if client not in self._alive:
            return "no lease"
        if self.holder not in (0, client):
            return f"held by {self.holder}"
        if self.phase not in (Phase.IDLE, Phase.ACQUIRED):
            return f"not allowed in {self.phase.name.lower()}"
        self.holder, self.phase = client, Phase.ACQUIRED
        return None

    def _release(self, client: int) -> str | None:
        refusal = self._holds(client)
        if refusal:
            return refusal
        if self.phase == Phase.ACTIVE:
            return "not allowed in active"
        self.holder = 0
        if self.phase == Phase.ACQUIRED:
            self.phase = Phase.IDLE
        return None

    def _enable(self, client: int, mode: object) -> str | None:
        refusal = self._holds(client)
        if refusal:
            return refusal
        if self.phase not in (Phase.IDLE, Phase.ACQUIRED):
            return f"not allowed in {self.phase.name.lower()}"
        if mode != "cartesian":
            return f"a bridge follows pose targets only, not mode {mode!r}"
        self._led = self._start = self.measured.o_t_ee
        now_s = time.monotonic()
        self._guard = Guard(self._limits, client, as_target(self._led), now_s)
        self._last_accept_s = self._last_target_s = now_s
        self.accepted = self.refused = self.dropped = 0
        self._last = (0, 0)
        self.holding = False
        self.phase = Phase.ACTIVE
        return None

    def _stop_command(self, _: int) -> str | None:
        if self.phase != Phase.ACTIVE:
            return f"not allowed in {self.phase.name.lower()}"
        self._stop("stop command")
        return "the arm broke off while stopping" if self.faulted else None

    @property
    def faulted(self) -> bool:
        """Whether a `recover` is needed."""
        return self.phase == Phase.FAULTED

    def _stop(self, why: str) -> None:
        """Holds the arm where it is and waits for rest."""
        log.info("stopping: %s", why)
        self.phase = Phase.STOPPING
        self._end_session()
        self._stopping()
        for _ in range(round(SETTLE_S / self._environment.period_s)):
            self.step()
            self._pace(self._environment.period_s)
            if np.abs(self.measured.joint_speeds_rad_s).max() < REST_RAD_S:
                break
        if not self.faulted:
            self.phase = Phase.IDLE

    def _fault(self, why: str) -> None:
        log.warning("fault: %s", why)
        self._end_session()
        self.phase = Phase.FAULTED

    def _end_session(self) -> None:
        self._guard = None
        self.holding = False
        self._led = self.measured.o_t_ee

    def _recover(self, _: int) -> str | None:
        if self.phase == Phase.ACTIVE:
            return "not allowed in active"
        self.phase = Phase.IDLE
        return None

    def _home_gripper(self, client: int, reply: Reply) -> None:
        refusal = self._holds(client) or ("gripper homing" if self._homing else None)
        if refusal:
            return reply(refusal)
        self._homing = (deque([self._environment.max_width_m]), reply)
        self._move_fingers(GripperCommand(0.0))

    def _stop_gripper(self, _: int) -> str | None:
        if self._homing:
            self._homing[1]("gripper stopped")
            self._homing = None
        self._move_fingers(GripperCommand(self.measured.width_m))
        return None

    # What is published

    def state(self) -> bytes:
        """`franka/<arm>/state`."""
        target = self._guard.previous if self._guard else as_target(self.measured.o_t_ee)
        modes = {Phase.ACTIVE: RobotMode.MOVE, Phase.FAULTED: RobotMode.REFLEX}
        return wire.StateFields(
            phase=self.phase,
            mode=modes.get(self.phase, RobotMode.IDLE),
            holding=self.holding,
            client=self.holder,
            seq_accepted=self._last[0],
            sent_ns_accepted=self._last[1],
            node_ns=time.monotonic_ns(),
            robot_ms=round((self.time_s + self.idle_s) * 1e3),
            joints_rad=self.measured.joints_rad,
            joint_speeds_rad_s=self.measured.joint_speeds_rad_s,
            o_t_ee=self.measured.o_t_ee,
            target=target,
            accepted=self.accepted,
            refused=self.refused,
            dropped=self.dropped,
        ).encode()

    def gripper_state(self) -> bytes:
        """`franka/<arm>/gripper/state`."""
        flags = wire.CALIBRATED
        flags |= wire.GRASPED if self.grasped else 0
        flags |= wire.MOVING if self.fingers_moving else 0
        widths = (self.measured.width_m, self._commanded_m, self._environment.max_width_m)
        return wire.GRIPPER_STATE.pack(wire.VERSION, flags, 0, self.holder, time.monotonic_ns(), *widths)

    def status(self, name: str) -> dict[str, object]:
        """This arm in `franka/node/<node>/status`."""
        gripper = {"width": self.measured.width_m, "calibrated": True, "grasped": self.grasped, "fault": False}
        return {
            "name": name,
            "phase": self.phase.name.lower(),
            "holder": self.holder,
            "mode": "cartesian" if self._guard else None,
            "accepted": self.accepted,
            "refused": self.refused,
            "dropped": self.dropped,
            "success_rate": 1.0 if self._guard else 0.0,
            "recording": None,
            "episode": None,
            "gripper": gripper,
        }


def as_target(o_t_ee: Array) -> Array:
    """A placement as a target: position, m, and quaternion xyzw."""
    return np.concatenate([o_t_ee[:3, 3], quaternion_of_rotation(o_t_ee[:3, :3])])
