"""What a public benchmark has to be for `record.py` and `play.py`, and the ones there are.

An action lasts five of the simulator's steps, the published action block, and leads one place further on the way: one
pose where the published block has five. Poses are those of Foresight: x, y, z, m; extrinsic xyz Euler angles, rad;
closedness. A benchmark whose world has other units says what a millimetre is.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from foresight_bridge.environment import Camera

STEPS_AN_ACTION = 5
OFFSET = 25 // STEPS_AN_ACTION
"""Actions between a task's start and its goal in the episode that both come from: the published 25 steps."""
BUDGET = 50 // STEPS_AN_ACTION
"""Actions to get there: the published 50 steps."""


class Benchmark(Protocol):
    """A world whose states can be set. A state is whatever `state` gives; only the benchmark looks into it."""

    name: str
    max_width_m: float
    task: str
    """In words, for the recordings."""
    actions: int
    """Of a recorded episode."""
    settings: list[str]
    """The planner's, with this benchmark's model."""
    camera: Camera

    def explore(self, rng: np.random.Generator, actions: int, pictures: bool = True) -> tuple[list[Any], list[np.ndarray]]:
        """States, one more than actions, and their pictures if wanted, of one who doesn't know of any goal."""

    def set(self, state: Any) -> None: ...

    def state(self) -> Any: ...

    def step(self, action: np.ndarray) -> Any:
        """Goes on by an action `[7]`, or as much of it as an action may ask for; the state after it."""

    def render(self) -> np.ndarray: ...

    def pose(self, state: Any) -> np.ndarray:
        """`[7]`."""

    def close(self, state: Any, goal: Any) -> bool:
        """Whether `state` counts as `goal`, by the published measure."""

    def object_m(self, state: Any) -> np.ndarray:
        """`[3]`: where the object is."""

    def held(self, state: Any) -> bool: ...

    def apart(self, state: Any, goal: Any) -> float:
        """How far `state` is from `goal`, in distances at which it would count as it; what the arm has to be at the goal
        is part of it, and weighs little."""

    def kinds(self, start: Any, goal: Any) -> list[str]:
        """What a task asks for, by which they are counted."""

    def draw_action(self, rng: np.random.Generator) -> np.ndarray: ...


def between(pose: np.ndarray, following: np.ndarray) -> np.ndarray:
    """The action `[7]` from one pose to another, for hands that turn about the vertical alone."""
    action = following - pose
    action[3:6] = (action[3:6] + np.pi) % (2 * np.pi) - np.pi
    return action


def make(name: str) -> Benchmark:
    """`pusht` or `cube`, each in the folder of its name."""
    here = Path(__file__).parent
    known = sorted(file.parent.name for file in here.glob("*/compact.toml"))
    if name not in known:
        sys.exit(f"no benchmark is called {name}; there are {', '.join(known)}")
    sys.path.insert(0, str(here / name))
    return importlib.import_module(name).Benchmark()
