"""An environment on the keys of franka-node and franka-cam."""

from __future__ import annotations

import io
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import zenoh
from PIL import Image as Pictures

from . import wire
from .environment import Environment, Image, Task
from .guard import Limits
from .node import VERBS, ArmNode
from .wire import Phase

log = logging.getLogger(__name__)

GRIPPER_PERIOD_S = 0.05
STATUS_PERIOD_S = 1.0
TICK_S = 0.02
"""States are published at least this often: targets are streamed from them at 50 Hz."""
HUNG_S = 10.0
"""A picture or a step that takes longer is none."""
NODE_VERSION = "0.4.0"
"""The franka-node whose keys and bytes these are."""


def open_session(
    listen: Sequence[str] = (), connect: Sequence[str] = (), zenoh_config: Path | None = None
) -> zenoh.Session:
    """A peer on named endpoints; nothing is searched for on the network."""
    config = zenoh.Config.from_file(str(zenoh_config)) if zenoh_config else zenoh.Config()
    config.insert_json5("mode", '"peer"')
    config.insert_json5("listen/endpoints", json.dumps(list(listen)))
    config.insert_json5("connect/endpoints", json.dumps(list(connect)))
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("scouting/gossip/enabled", "false")
    # A dead peer is noticed after this long, ms; franka-node's own value.
    config.insert_json5("transport/link/tx/lease", "1000")
    return zenoh.open(config)


class Bridge:
    """Serves an environment until told to stop.

    In real time the environment runs with the clock on the wall, and slower where it can't keep up. In lock-step it
    takes one period for every target of whoever drives, and stands still otherwise; watchdogs go by the wall all
    the same, and an arm that is held because its commander fell silent goes on in real time.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        listen: Sequence[str] = ("tcp/127.0.0.1:7447",),
        arm: str = "fr3",
        camera: str = "front",
        lock_step: bool = False,
        frames_per_second: float = 20.0,
        jpeg_quality: int = 97,
        limits: Limits = Limits(),
        node: str = "foresight-bridge",
        zenoh_config: Path | None = None,
    ) -> None:
        """Opens the session and serves the keys; nothing happens on them before `serve`. `zenoh_config` is a file
        (JSON5) to start from, for certificates."""
        self._environment = environment
        self._names = (arm, camera, node)
        self._lock_step = lock_step
        self._frame_period_s = 1.0 / frames_per_second
        self._jpeg_quality = jpeg_quality
        self._node = ArmNode(environment, limits, stopping=self._publish_state, pace=self._pace)
        self._events: queue.SimpleQueue[Callable[[], None] | wire.Target] = queue.SimpleQueue()
        self._frame_seq = 0
        self._drawn: tuple[float, bytes] | None = None
        self._publishing = threading.Lock()
        self._published_s = self._turn_s = 0.0
        self._until = 0.0  # the time on the wall that the environment has been brought to
        self.lost_s = 0.0
        """How much less time passed in the environment than on the wall, in real time."""
        self.decode_failures = 0
        """Messages on the target keys that were none."""
        self._session: Any = open_session(listen, zenoh_config=zenoh_config)
        self._declared: list[Any] = []
        publish = self._session.declare_publisher
        drop = zenoh.CongestionControl.DROP
        self._state = publish(f"franka/{arm}/state", congestion_control=drop)
        self._gripper_state = publish(f"franka/{arm}/gripper/state", congestion_control=drop)
        self._frame = publish(f"franka/cam/{camera}/frame", congestion_control=drop)
        self._status = publish(f"franka/node/{node}/status", congestion_control=drop)
        self._declare()

    def _declare(self) -> None:
        arm = self._names[0]
        session = self._session
        keep = self._declared.append

        def ordered(callback: Callable[[Any], None]) -> Any:
            # Otherwise each key has a thread of its own, and a stop overtakes the target that was sent before it.
            return zenoh.handlers.Callback(callback, indirect=False)

        keep(session.declare_subscriber(f"franka/{arm}/target", ordered(self._on_target)))
        keep(session.declare_subscriber(f"franka/{arm}/gripper/target", ordered(self._on_gripper)))
        lease = f"franka/{arm}/lease/*"
        keep(session.liveliness().declare_subscriber(lease, ordered(self._on_lease), history=True))
        for verb in VERBS:
            key = f"franka/{arm}/cmd/{verb}"
            keep(session.declare_queryable(key, ordered(self._on_command(verb, key))))
        asked = {"reset": self._reset}
        if isinstance(self._environment, Task):
            asked["verdict"] = self._verdict
        for name, answer in asked.items():
            key = f"foresight/env/{arm}/{name}"
            keep(session.declare_queryable(key, ordered(self._on_query(key, answer))))

    # Callbacks, on zenoh's threads: whatever touches the environment is done by `serve`.

    def _on_target(self, sample: Any) -> None:
        target = wire.decode_target(sample.payload.to_bytes())
        if target is None:
            self.decode_failures += 1
        else:
            self._events.put(target)

    def _on_gripper(self, sample: Any) -> None:
        target = wire.decode_gripper(sample.payload.to_bytes())
        if target is None:
            self.decode_failures += 1
        else:
            self._events.put(lambda: self._node.gripper_target(target))

    def _on_lease(self, sample: Any) -> None:
        client = str(sample.key_expr).rsplit("/", 1)[-1]
        if client.isdecimal() and int(client) != 0:
            alive = sample.kind == zenoh.SampleKind.PUT
            self._events.put(lambda: self._node.lease(int(client), alive))

    def _on_command(self, verb: str, key: str) -> Callable[[Any], None]:
        def asked(query: Any) -> None:
            def reply(refusal: str | None) -> None:
                said = {"ok": True} if refusal is None else {"ok": False, "error": refusal}
                query.reply(key, json.dumps(said))
                query.drop()

            try:
                request = json.loads(query.payload.to_bytes())
            except (AttributeError, ValueError) as error:
                reply(f"bad request: {error}")
                return
            self._events.put(lambda: self._node.command(verb, request, reply))

        return asked

    def _on_query(self, key: str, answer: Callable[[Any, str], None]) -> Callable[[Any], None]:
        def answered(query: Any) -> None:
            try:
                answer(query, key)
            except ValueError as error:
                query.reply_err(str(error))
            query.drop()

        return lambda query: self._events.put(lambda: answered(query))

    # Serving

    def serve(self, stop: threading.Event | None = None) -> None:
        """Serves in this thread until `stop` is set, or for ever; then everything is undeclared."""
        stop = stop or threading.Event()
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=[ended], daemon=True)
        heart.start()
        started = self._until = next_tick = time.monotonic()
        owed_s = 0.0
        due = dict.fromkeys(("gripper", "frame", "status"), started)
        period_s = self._environment.period_s
        tick_s = min(TICK_S, period_s)
        most_owed_s = 2.0 * max(period_s, TICK_S)
        try:
            while not stop.is_set():
                self._drain(next_tick)
                self._node.watchdog()
                now = self._turn_s = time.monotonic()
                runs = not self._lock_step or self._node.holding or self._node.needs_time
                passed_s = now - self._until
                owed_s = owed_s + passed_s if runs else 0.0
                if not runs and self._node.phase != Phase.ACTIVE:
                    self._stand_still(passed_s)
                self._until = now
                if owed_s > most_owed_s:
                    self.lost_s += owed_s - most_owed_s
                    owed_s = most_owed_s
                while owed_s >= period_s:
                    self._node.step()
                    owed_s -= period_s
                self._publish_state()
                if now >= due["gripper"]:
                    due["gripper"] = now + GRIPPER_PERIOD_S
                    self._gripper_state.put(self._node.gripper_state())
                if now >= due["frame"]:
                    due["frame"] = max(due["frame"] + self._frame_period_s, now)
                    self._publish_frame()
                if now >= due["status"]:
                    due["status"] = now + STATUS_PERIOD_S
                    self._publish_status(now - started)
                next_tick = max(next_tick + tick_s, now)
        finally:
            ended.set()
            heart.join()
            for declared in self._declared:
                declared.undeclare()
            self._session.close()
            if self.lost_s > 1.0:
                log.warning("simulated %.1f s less than passed; the machine was busy", self.lost_s)

    def _beat(self, ended: threading.Event) -> None:
        """Says again what was measured last while the serving thread draws or steps for long: the world stands still
        meanwhile, so it is what is measured now. A robot's own clock runs on, by which a client knows it alive; one that
        hangs falls silent."""
        while not ended.wait(TICK_S):
            now = time.monotonic()
            still_s = now - self._published_s
            if still_s >= TICK_S and now - self._turn_s < HUNG_S:
                self._stand_still(still_s)
                self._publish_state()

    def _stand_still(self, seconds: float) -> None:
        with self._publishing:
            self._node.idle_s += seconds

    def _pace(self, seconds: float) -> None:
        if not self._lock_step:
            time.sleep(seconds)

    def _drain(self, until: float) -> None:
        """Handles what arrives before `until`. Of targets that came together only the newest is judged."""
        while True:
            try:
                left = until - time.monotonic()
                event = self._events.get(timeout=left) if left > 0 else self._events.get_nowait()
            except queue.Empty:
                return
            newest = None
            while True:
                if isinstance(event, wire.Target):
                    self._node.dropped += newest is not None
                    newest = event
                else:
                    # In order: else a commander's last target would meet the stop that it sent after it.
                    if newest is not None:
                        self._node.target(newest)
                        newest = None
                    event()
                try:
                    event = self._events.get_nowait()
                except queue.Empty:
                    break
            if newest is not None and self._node.target(newest) and self._lock_step:
                self._node.step()
                self._publish_state()

    # What is published

    def _publish_state(self) -> None:
        # Stamps must not run backwards between the two threads.
        with self._publishing:
            self._state.put(self._node.state())
            self._published_s = time.monotonic()

    def _publish_frame(self) -> None:
        captured_ns = time.monotonic_ns()
        # A world that stood still looks as it did.
        if self._drawn is None or self._drawn[0] != self._node.time_s:
            self._drawn = (self._node.time_s, self._jpeg(self._environment.render()))
        camera = self._environment.camera
        size = (camera.width_px, camera.height_px)
        self._frame_seq += 1
        self._frame.put(
            wire.encode_frame(self._drawn[1], *size, self._frame_seq, captured_ns, time.time_ns())
        )

    def _jpeg(self, image: Image) -> bytes:
        buffer = io.BytesIO()
        picture(image, self._environment).save(buffer, "JPEG", quality=self._jpeg_quality, subsampling=0)
        return buffer.getvalue()

    def _publish_status(self, uptime_s: float) -> None:
        arm, _, node = self._names
        served = self._node.status(arm) | {"decode_failures": self.decode_failures}
        said = {
            "node": node,
            "version": f"{NODE_VERSION}+bridge.{version('foresight-bridge')}",
            "uptime_s": int(uptime_s),
            "arms": [served],
        }
        self._status.put(json.dumps(said))

    # What is asked

    def _reset(self, query: Any, key: str) -> None:
        """Answers with the sub-goals' pictures (PNG), one after the other; the attachment tells them apart."""
        match json.loads(query.payload.to_bytes() if query.payload else b"{}"):
            case {"seed": int(seed)} if seed >= 0:
                pass
            case _:
                raise ValueError('a reset is asked for with {"seed": N}')
        if self._node.phase in (Phase.ACTIVE, Phase.STOPPING):
            raise ValueError("the arm is enabled; stop it before changing the scene")
        environment = self._environment
        environment.reset(seed)
        self._node.forget()
        self._node.time_s += environment.period_s
        goals = []
        if isinstance(environment, Task):
            verdict = environment.verdict()
            if verdict.success:
                raise ValueError(f"the scene of seed {seed} starts with the task achieved: {verdict.reason}")
            goals = list(environment.goals())
        pictures = [png(goal.image, environment) for goal in goals]
        told = [
            {"name": goal.name, "bytes": len(data), "pose": None if goal.pose is None else list(goal.pose)}
            for goal, data in zip(goals, pictures)
        ]
        self._publish_state()
        self._until = time.monotonic()
        query.reply(key, b"".join(pictures), attachment=json.dumps({"seed": seed, "goals": told}))

    def _verdict(self, query: Any, key: str) -> None:
        assert isinstance(self._environment, Task)
        verdict = self._environment.verdict()
        query.reply(key, json.dumps({"success": verdict.success, "reason": verdict.reason}))


def picture(image: Image, environment: Environment) -> Pictures.Image:
    """An environment's picture, checked against what its camera says."""
    camera = environment.camera
    if image.shape != (camera.height_px, camera.width_px, 3) or image.dtype != np.uint8:
        wanted = f"uint8 of {camera.height_px}×{camera.width_px}×3"
        raise TypeError(f"the environment drew {image.dtype} of {image.shape}, its camera says {wanted}")
    return Pictures.fromarray(np.ascontiguousarray(image))


def png(image: Image, environment: Environment) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    picture(image, environment).save(buffer, "PNG")
    return buffer.getvalue()
