"""The bridge over real zenoh on the loopback, in front of an environment without a simulator; its client is
franka-node's own for Python, and raw bytes for what that wouldn't send."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import zenoh
from fake import FakeArm
from franka_node import Node, Refused
from PIL import Image as Pictures

from foresight_bridge import Bridge, Limits, wire
from foresight_bridge.bridge import open_session
from foresight_bridge.geometry import (
    angle_between,
    euler_of_rotation,
    looking_at,
    quaternion_of_rotation,
    rotation_of_euler,
    rotation_of_quaternion,
)

DOWN = (1.0, 0.0, 0.0, 0.0)


def free_endpoint() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp/127.0.0.1:{free.getsockname()[1]}"


def until(ready: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits; how long is bounded for a busy machine."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.01)


class Served:
    """A bridge in a thread, and whatever listens to it."""

    def __init__(self, environment: FakeArm | None = None, **options: object) -> None:
        self.environment = environment or FakeArm()
        self.endpoint = free_endpoint()
        self.bridge = Bridge(self.environment, listen=[self.endpoint], **options)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.bridge.serve, args=[self._stop])
        self._thread.start()
        self.session = open_session(connect=[self.endpoint])
        self.states: list[tuple[object, ...]] = []
        self.frames: list[bytes] = []
        self.grippers: list[tuple[object, ...]] = []
        self._subscribers = [
            self.session.declare_subscriber(
                "franka/fr3/state", lambda s: self.states.append(wire.STATE.unpack(s.payload.to_bytes()))
            ),
            self.session.declare_subscriber(
                "franka/fr3/gripper/state",
                lambda s: self.grippers.append(wire.GRIPPER_STATE.unpack(s.payload.to_bytes())),
            ),
            self.session.declare_subscriber(
                "franka/cam/front/frame", lambda s: self.frames.append(s.payload.to_bytes())
            ),
        ]
        self._seq = 0
        until(lambda: self.states and self.frames and self.grippers)

    def close(self) -> None:
        self.session.close()
        self._stop.set()
        self._thread.join()

    def command(self, verb: str, client: int = 7, **more: object) -> dict[str, object]:
        request = json.dumps({"client_id": client, **more})
        replies = self.session.get(f"franka/fr3/cmd/{verb}", payload=request, timeout=15.0)
        return json.loads(next(iter(replies)).ok.payload.to_bytes())

    def ask(self, what: str, **request: object) -> zenoh.Reply:
        return next(iter(self.session.get(f"foresight/env/fr3/{what}", payload=json.dumps(request), timeout=15.0)))

    def acquire(self, client: int = 7) -> object:
        token = self.session.liveliness().declare_token(f"franka/fr3/lease/{client}")
        until(lambda: self.command("acquire", client)["ok"])
        return token

    def send(self, position_m: np.ndarray, *, client: int = 7, seq: int | None = None, flags: int = 0) -> None:
        self._seq += 1
        seq = self._seq if seq is None else seq
        data = wire.TARGET.pack(1, wire.CARTESIAN, flags, client, seq, 99, *position_m, *DOWN)
        self.session.put("franka/fr3/target", data)

    def grip(self, kind: int, width_m: float, force_n: float = 20.0, client: int = 7) -> None:
        self._seq += 1
        data = wire.GRIPPER.pack(1, kind, 0, client, self._seq, 0, width_m, force_n)
        self.session.put("franka/fr3/gripper/target", data)

    @property
    def phase(self) -> int:
        return self.states[-1][1]

    @property
    def holding(self) -> bool:
        return bool(self.states[-1][4] & wire.HOLDING)

    @property
    def hand_m(self) -> np.ndarray:
        return np.array(self.states[-1][11 + 21 + 12 : 11 + 21 + 15])  # O_T_EE's last column

    @property
    def counts(self) -> tuple[int, int]:
        return self.states[-1][-3], self.states[-1][-2]


@contextmanager
def served(**options: object) -> Iterator[Served]:
    one = Served(**options)
    try:
        yield one
    finally:
        one.close()


class Geometry(unittest.TestCase):
    def test_rotations_come_back(self) -> None:
        for seed in range(200):
            angles = np.random.default_rng(seed).uniform(-1.5, 1.5, 3)
            turned = rotation_of_euler(angles)
            np.testing.assert_allclose(euler_of_rotation(turned), angles, atol=1e-9)
            np.testing.assert_allclose(rotation_of_quaternion(quaternion_of_rotation(turned)), turned, atol=1e-9)
            about = angle_between(np.eye(3), rotation_of_euler([angles[0], 0, 0]))
            self.assertAlmostEqual(about, abs(angles[0]))
        # R = Rz·Ry·Rx, as DROID and Foresight have it.
        np.testing.assert_allclose(rotation_of_euler([0, 0, np.pi / 2]) @ [1, 0, 0], [0, 1, 0], atol=1e-12)

    def test_a_camera_looks_along_its_z_and_stands_upright(self) -> None:
        seen = looking_at((1.2, 0.0, 0.8), (0.5, 0.0, 0.1))
        np.testing.assert_allclose(seen[:, 2], np.array([-1, 0, -1]) / np.sqrt(2), atol=1e-9)
        self.assertAlmostEqual(np.linalg.det(seen), 1.0)
        self.assertLess(seen[2, 1], 0.0)  # down in the picture is down


class Lease(unittest.TestCase):
    def test_who_has_no_token_gets_no_lease_and_a_second_client_neither(self) -> None:
        with served() as bridge:
            self.assertEqual(bridge.command("acquire")["error"], "no lease")
            self.assertEqual(bridge.command("enable")["error"], "client 7 is not the holder")
            token = bridge.acquire()
            second = bridge.session.liveliness().declare_token("franka/fr3/lease/8")
            until(lambda: bridge.command("acquire", 8).get("error") == "held by 7")
            self.assertTrue(bridge.command("enable")["ok"])
            until(lambda: bridge.phase == wire.Phase.ACTIVE)
            before_m = bridge.hand_m
            bridge.send(before_m + [0.02, 0, 0], client=8)
            until(lambda: bridge.counts == (0, 1))
            self.assertTrue(bridge.command("stop", 8)["ok"])  # anyone may
            until(lambda: bridge.phase == wire.Phase.IDLE)
            self.assertTrue(bridge.command("enable")["ok"])
            token.undeclare()
            until(lambda: bridge.states[-1][5] == 0 and bridge.phase == wire.Phase.IDLE)
            until(lambda: bridge.command("acquire", 8)["ok"])
            second.undeclare()
            until(lambda: bridge.states[-1][5] == 0)

    def test_garbage_moves_nothing_and_is_counted(self) -> None:
        with served() as bridge:
            bridge.session.put("franka/fr3/target", b"nonsense")
            bridge.session.put("franka/fr3/gripper/target", struct.pack("<40x"))
            bridge.session.put("franka/fr3/target", wire.TARGET.pack(2, 1, 0, 7, 1, 0, *np.zeros(7)))
            until(lambda: bridge.bridge.decode_failures == 3)
            for request in (b"{", b"[]", b'{"client_id": "x"}', b'{"client_id": 7, "x": 1}'):
                replies = bridge.session.get("franka/fr3/cmd/acquire", payload=request, timeout=15.0)
                said = json.loads(next(iter(replies)).ok.payload.to_bytes())
                self.assertIn("bad request", said["error"])
            self.assertIn("reset the environment", bridge.command("home")["error"])


class Targets(unittest.TestCase):
    def test_the_stock_client_drives_it(self) -> None:
        with served() as bridge, Node(bridge.endpoint) as node:
            arm = node.arm("fr3")
            self.assertTrue(node.status()["version"].startswith("0.4."))
            with arm, arm.cartesian_targets() as targets:
                targets.move_by([0.0, 0.04, 0.02])
                state = targets.wait(timeout=20.0)
                self.assertEqual(state.refused, 0)
                self.assertGreater(state.accepted, 10)
            until(lambda: bridge.phase == wire.Phase.IDLE)

    def test_the_guard_refuses_what_franka_node_refuses(self) -> None:
        with served() as bridge:
            token = bridge.acquire()
            bridge.command("enable")
            until(lambda: bridge.phase == wire.Phase.ACTIVE)
            here = bridge.hand_m
            bridge.send(here, seq=10**6)
            until(lambda: bridge.counts == (1, 0))
            refused = [
                lambda: bridge.send(here, seq=10**6),  # a replay
                lambda: bridge.send(here + [0.06, 0, 0], seq=10**6 + 1),  # too far a step
                lambda: bridge.send(here + [np.nan, 0, 0], seq=10**6 + 1),
                lambda: bridge.session.put(
                    "franka/fr3/target", wire.TARGET.pack(1, 1, 0, 7, 10**6 + 1, 0, *here, 2.0, 0, 0, 0)
                ),
                lambda: bridge.session.put(
                    "franka/fr3/target", wire.TARGET.pack(1, wire.JOINTS, 0, 7, 10**6 + 1, 0, *np.zeros(7))
                ),
            ]
            for count, send in enumerate(refused, 1):
                send()
                until(lambda: bridge.counts == (1, count))
            np.testing.assert_allclose(bridge.hand_m, here, atol=1e-3)
            # The sequence is where it was: the next one counts.
            bridge.send(here + [0.01, 0, 0], seq=10**6 + 1)
            until(lambda: bridge.counts == (2, len(refused)))
            token.undeclare()

    def test_a_silent_commander_is_held_then_stopped(self) -> None:
        with served() as bridge:
            token = bridge.acquire()
            bridge.command("enable")
            until(lambda: bridge.phase == wire.Phase.ACTIVE)
            for _ in range(10):
                bridge.send(bridge.hand_m + [0.0, 0.0, 0.005])
                time.sleep(0.02)
            last = time.monotonic()
            self.assertFalse(bridge.holding)
            until(lambda: bridge.holding)
            self.assertGreater(time.monotonic() - last, 0.1)
            until(lambda: bridge.phase == wire.Phase.IDLE)
            self.assertGreater(time.monotonic() - last, 1.8)
            self.assertEqual(bridge.states[-1][5], 7)  # the holder stays
            self.assertTrue(bridge.command("enable")["ok"])
            token.undeclare()

    def test_a_target_sent_before_a_stop_is_no_refusal(self) -> None:
        with served() as bridge:
            token = bridge.acquire()
            bridge.command("enable")
            until(lambda: bridge.phase == wire.Phase.ACTIVE)
            step, here = bridge.environment.step, bridge.hand_m

            def slowly(*told: object) -> None:
                time.sleep(0.3)
                step(*told)

            bridge.environment.step = slowly  # both wait together, then
            bridge.send(here)
            bridge.send(here)
            self.assertTrue(bridge.command("stop")["ok"])
            until(lambda: bridge.phase == wire.Phase.IDLE)
            self.assertEqual(bridge.counts[1], 0)
            token.undeclare()

    def test_a_reflex_faults_until_recovered(self) -> None:
        with served() as bridge:
            token = bridge.acquire()
            bridge.command("enable")
            bridge.environment.breaks_off = True
            until(lambda: bridge.phase == wire.Phase.FAULTED)
            self.assertEqual(bridge.states[-1][2], wire.RobotMode.REFLEX)
            self.assertEqual(bridge.command("enable")["error"], "not allowed in faulted")
            self.assertTrue(bridge.command("recover")["ok"])
            self.assertTrue(bridge.command("enable")["ok"])
            token.undeclare()


class Gripper(unittest.TestCase):
    def test_it_moves_grasps_and_reports_as_the_hand_does(self) -> None:
        with served() as bridge:
            bridge.grip(wire.WIDTH, 0.03)  # not the holder's
            token = bridge.acquire()
            bridge.grip(wire.WIDTH, 0.03)
            until(lambda: abs(bridge.grippers[-1][5] - 0.03) < 1e-6 and not bridge.grippers[-1][1] & wire.MOVING)
            self.assertAlmostEqual(bridge.grippers[-1][6], 0.03)
            bridge.grip(wire.WIDTH, 0.2)  # beyond its stroke
            bridge.environment.object_m = 0.02
            bridge.grip(wire.GRASP, 0.0)
            until(lambda: abs(bridge.grippers[-1][5] - 0.02) < 1e-6 and not bridge.grippers[-1][1] & wire.MOVING)
            self.assertFalse(bridge.grippers[-1][1] & wire.GRASPED)  # 2 cm from the width asked for
            bridge.grip(wire.GRASP, 0.02)
            until(lambda: bridge.grippers[-1][1] & wire.GRASPED)
            bridge.environment.object_m = 0.0
            self.assertTrue(bridge.command("gripper_home")["ok"])
            until(lambda: abs(bridge.grippers[-1][5] - 0.08) < 1e-6)
            self.assertIn("not the holder", bridge.command("gripper_home", 9)["error"])
            token.undeclare()


class Frames(unittest.TestCase):
    def test_they_are_stamped_by_the_states_clock_and_decode(self) -> None:
        with served() as bridge:
            until(lambda: len(bridge.frames) > 5)
            headers = [wire.FRAME.unpack(frame[: wire.FRAME.size]) for frame in bridge.frames]
            self.assertEqual({h[:5] for h in headers}, {(1, wire.MJPEG, 3, 64, 64)})
            self.assertEqual([h[5] for h in headers], list(range(headers[0][5], headers[0][5] + len(headers))))
            stamps = [h[6] for h in headers]
            self.assertEqual(stamps, sorted(set(stamps)))
            self.assertLess(abs(stamps[-1] - time.monotonic_ns()), 5e9)
            image = np.asarray(Pictures.open(BytesIO(bridge.frames[-1][wire.FRAME.size :])))
            drawn = bridge.environment.render()
            self.assertLess(np.abs(image.astype(float) - drawn).mean(), 5.0)


class LockStep(unittest.TestCase):
    def test_time_passes_with_targets_and_not_without(self) -> None:
        with served(lock_step=True, limits=Limits(hold_after_s=60.0, stop_after_s=60.0)) as bridge:
            token = bridge.acquire()
            bridge.command("enable")
            until(lambda: bridge.phase == wire.Phase.ACTIVE)
            here, steps = bridge.hand_m, bridge.environment.steps
            self.assertEqual(steps, 0)
            for count in range(1, 21):
                bridge.send(here + [0.0, 0.0, 0.001 * count])
                until(lambda: bridge.counts[0] == count)
                self.assertEqual(bridge.environment.steps, count)
            self.assertTrue(bridge.command("stop")["ok"])
            until(lambda: bridge.phase == wire.Phase.IDLE)
            steps, clock = bridge.environment.steps, bridge.states[-1][9]
            time.sleep(0.5)
            self.assertEqual(bridge.environment.steps, steps)
            self.assertGreater(bridge.states[-1][9], clock)  # the robot's own clock says that it is alive
            bridge.grip(wire.WIDTH, 0.04)  # fingers need time of their own
            until(lambda: abs(bridge.grippers[-1][5] - 0.04) < 1e-6)
            token.undeclare()

    def test_states_stay_fresh_while_a_picture_is_drawn(self) -> None:
        with served() as bridge:
            draw = bridge.environment.render

            def slowly() -> np.ndarray:
                time.sleep(1.0)
                return draw()

            bridge.environment.render = slowly
            until(lambda: len(bridge.frames) > 2 and len(bridge.states) > 20)
            bridge.states.clear()
            time.sleep(3.0)
            stamps = [state[8] for state in bridge.states]
            self.assertEqual(stamps, sorted(stamps))
            self.assertGreater(len(stamps), 60)  # without that one or two a picture
            clocks = [state[9] for state in bridge.states]
            stood = [later - earlier for earlier, later in zip(clocks, clocks[10:])]
            self.assertGreater(min(stood), 0)  # else the client takes the robot's clock for frozen

    def test_real_time_passes_by_itself(self) -> None:
        with served() as bridge:
            before = bridge.environment.steps
            until(lambda: bridge.environment.steps > before + 10)


class Episodes(unittest.TestCase):
    def test_a_seed_is_a_scene_and_the_environment_judges(self) -> None:
        with served() as bridge:
            told, hands = [], []
            for seed in (3, 4, 3):
                reply = bridge.ask("reset", seed=seed)
                [goal] = json.loads(reply.ok.attachment.to_bytes())["goals"]
                self.assertEqual(goal["name"], "reach")
                picture = Pictures.open(BytesIO(reply.ok.payload.to_bytes()[: goal["bytes"]]))
                self.assertEqual(picture.size, (64, 64))
                told.append(goal["pose"])
                until(lambda: np.allclose(bridge.hand_m, bridge.environment.arm().o_t_ee[:3, 3], atol=1e-6))
                hands.append(bridge.hand_m)
            self.assertEqual(told[0], told[2])
            self.assertNotEqual(told[0], told[1])
            np.testing.assert_allclose(hands[0], hands[2], atol=1e-9)
            said = json.loads(bridge.ask("verdict").ok.payload.to_bytes())
            self.assertFalse(said["success"])
            self.assertIn("cm from its goal", said["reason"])

    def test_who_has_no_task_is_not_asked_for_a_verdict(self) -> None:
        class WithoutTask(FakeArm):
            goals = None

        with served(environment=WithoutTask()) as bridge:
            reply = bridge.ask("reset", seed=3)
            self.assertEqual(json.loads(reply.ok.attachment.to_bytes())["goals"], [])
            self.assertEqual(list(bridge.session.get("foresight/env/fr3/verdict", timeout=5.0)), [])

    def test_what_makes_no_honest_episode_is_refused(self) -> None:
        with served() as bridge:
            self.assertIn("starts with the task achieved", bridge.ask("reset", seed=13).err.payload.to_string())
            self.assertIn("asked for with", bridge.ask("reset").err.payload.to_string())
            token = bridge.acquire()
            bridge.command("enable")
            self.assertIn("enabled", bridge.ask("reset", seed=1).err.payload.to_string())
            token.undeclare()


if __name__ == "__main__":
    unittest.main()
