"""Foresight's plans for programs that keep their own loop."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from .bridge import open_session
from .environment import Image
from .geometry import Array

START_S = 120.0
"""How long the program may take to load a model."""


class PlanRefused(Exception):
    """No plan, and why, in the planner's words."""


@dataclass(frozen=True)
class Plan:
    """What to do."""

    actions: NDArray[np.float64]
    """`[steps, 7]`: translation, m, extrinsic xyz Euler angles, rad, of the hand in the base frame, and change of
    closedness."""
    energy: float
    """The imagined end's distance to the goal, in the latent."""
    distance: float
    """The same of what is seen now."""
    evaluations: int
    """Rollouts that were imagined."""
    seed: int


class Planner:
    """A model that plans: `Planner("models/tabletop")` starts the program `foresight` as a child and loads the folder
    there; `Planner(connect="tcp/HOST:7450")` asks a `foresight serve` that runs already. A context manager."""

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        connect: str | None = None,
        program: str | Path | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """`program` is the executable: `$FORESIGHT`, or `foresight` in the search path, where it isn't given. Raises
        `PlanRefused` when the model can't be loaded or nobody answers."""
        if (model is None) == (connect is None):
            raise ValueError("give a model's folder or connect, one of them")
        self._timeout_s = timeout_s
        self._child: subprocess.Popen[bytes] | None = None
        endpoint = connect
        # What the program says, read only when it fails: a pipe nobody reads would fill up.
        self._said = tempfile.TemporaryFile()
        if model is not None:
            endpoint = f"tcp/127.0.0.1:{_free_port()}"
            self._child = self._serve(model, endpoint, program)
        try:
            self._session = open_session(connect=[str(endpoint)])
            self.info: dict[str, Any] = self._wait(f"at {endpoint}")
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        """The program's process, where it was started here."""
        return self._child.pid if self._child else None

    def plan(
        self,
        image: Image | bytes | str | Path,
        goal: Image | bytes | str | Path,
        state: Sequence[float] | Array,
        *,
        seed: int = 0,
        settings: Sequence[str] = (),
        extrinsics: Sequence[float] | None = None,
    ) -> Plan:
        """The actions from what is seen now towards what a goal image shows.

        Pictures are `[height, width, 3]` RGB, a PNG's or JPEG's bytes, or its path. `state` is x, y, z, m, extrinsic
        xyz Euler angles, rad, in the base frame, and closedness, 0 open to 1 closed. `settings` are those of
        `foresight plan --set`, such as `planner.samples=200`. `extrinsics` is the camera's pose, for models that take
        it. Raises `PlanRefused` with what is wrong.
        """
        now, wanted = _file(image), _file(goal)
        header = {
            "context_bytes": len(now),
            "state": [float(v) for v in state],
            "seed": seed,
            "set": list(settings),
            "extrinsics": None if extrinsics is None else [float(v) for v in extrinsics],
        }
        said = self._ask("plan", now + wanted, json.dumps(header))
        if said is None:
            raise PlanRefused("the planner no longer answers")
        return Plan(
            actions=np.array(said["actions"], dtype=np.float64),
            energy=said["energy"],
            distance=said["distance"],
            evaluations=said["evaluations"],
            seed=said["seed"],
        )

    def close(self) -> None:
        """Ends the session, and the program if it was started here."""
        session = getattr(self, "_session", None)
        if session is not None and not session.is_closed():
            session.close()
        if self._child is not None:
            self._child.terminate()
            try:
                self._child.wait(10)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._said.close()

    def __enter__(self) -> Planner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self, model: str | Path, endpoint: str, program: str | Path | None) -> subprocess.Popen[bytes]:
        found = program or os.environ.get("FORESIGHT") or shutil.which("foresight")
        if not found:
            raise PlanRefused("no program `foresight` in the search path; name it with program= or $FORESIGHT")
        command = [str(found), "serve", str(model), "--listen", endpoint]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said)

    def _wait(self, where: str) -> dict[str, Any]:
        deadline = time.monotonic() + (START_S if self._child else 5.0)
        while time.monotonic() < deadline:
            if self._child is not None and self._child.poll() is not None:
                self._said.seek(0)
                output = self._said.read().decode(errors="replace").strip()
                raise PlanRefused(output or f"the program ended with {self._child.returncode}")
            said = self._ask("info", b"", None)
            if said is not None:
                return said
            time.sleep(0.1)
        raise PlanRefused(f"no planner answers {where}; start one with `foresight serve MODEL`")

    def _ask(self, what: str, payload: bytes, header: str | None) -> dict[str, Any] | None:
        key = f"foresight/workers/*/{what}"
        replies = self._session.get(key, payload=payload, attachment=header, timeout=self._timeout_s)
        for reply in replies:
            if reply.err is not None or reply.ok is None:
                raise PlanRefused(reply.err.payload.to_string() if reply.err else "no reason given")
            said: dict[str, Any] = json.loads(reply.ok.payload.to_bytes())
            return said
        return None


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _file(image: Image | bytes | str | Path) -> bytes:
    """A picture's file."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, (str, Path)):
        return Path(image).read_bytes()
    buffer = io.BytesIO()
    Pictures.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
    return buffer.getvalue()
