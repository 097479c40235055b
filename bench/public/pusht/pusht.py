"""Push-T of gym-pusht with states that can be set, a step of half a second, and the published measure of success."""

from __future__ import annotations

import os

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import gym_pusht  # noqa: F401  registers the environment
import gymnasium
import numpy as np
from benchmark import STEPS_AN_ACTION
from foresight_bridge.environment import Camera

SIDE_PX = 512
"""The world's width; a pixel of it counts as a millimetre."""
AXIS_PX = 50.0
"""Farthest that an action leads the pusher along an axis."""
WALL_PX = 25.0
"""The pusher stays so far from the walls."""
CLOSE_PX, CLOSE_RAD = 20.0, np.pi / 9
"""Success as stable-worldmodel 0.1.1 counts it: pusher and block together within CLOSE_PX, the block turned by less."""


class Benchmark:
    """States are `[5]`: pusher x, y, block x, y, px, and its angle, rad. Of an action x and y count: where the pusher
    goes from where it is."""

    name, task = "pusht", "push the T"
    max_width_m = 0.08
    actions = 20
    settings = [
        "planner.preset=paper", "planner.samples=300", "planner.iterations=10", "planner.topk=30", 'planner.dimensions=["x","y"]',
        "planner.momentum_mean=0.0", "planner.momentum_std=0.0", "planner.mean_is_candidate=true",
    ]

    def __init__(self, image_px: int = 96) -> None:
        self._made = gymnasium.make(
            "gym_pusht/PushT-v0", obs_type="state", render_mode="rgb_array", visualization_width=image_px,
            visualization_height=image_px, disable_env_checker=True,
        )
        self._env = self._made.unwrapped
        self._made.reset(seed=0)
        # The drawn target belongs to a task that isn't asked here: out of the picture with it.
        self._env.goal_pose = np.array([-1000.0, -1000.0, 0.0])
        middle = SIDE_PX / 2000
        self.camera = Camera(image_px, image_px, image_px / 2, (middle, middle, middle, np.pi, 0.0, 0.0))

    def set(self, state: np.ndarray) -> None:
        """Puts pusher and block there, at rest."""
        env = self._env
        env.agent.velocity = (0.0, 0.0)
        env.block.velocity, env.block.angular_velocity = (0.0, 0.0), 0.0
        env.agent.position = [float(v) for v in state[:2]]
        # The angle first: setting it turns the block about its centre of mass.
        env.block.angle = float(state[4])
        env.block.position = [float(v) for v in state[2:4]]
        env.space.step(1e-6)
        env._last_action = None

    def state(self) -> np.ndarray:
        env = self._env
        return np.array([*env.agent.position, *env.block.position, env.block.angle % (2 * np.pi)])

    def step(self, action: np.ndarray) -> np.ndarray:
        """Leads the pusher by `action`, as far as an action may; the state after it."""
        at = np.array(self._env.agent.position)
        way = np.clip(1000 * action[:2], -AXIS_PX, AXIS_PX)
        target = np.clip(at + way, WALL_PX, SIDE_PX - WALL_PX)
        for _ in range(STEPS_AN_ACTION):
            self._env.step(target)
        return self.state()

    def render(self) -> np.ndarray:
        """`[image_px, image_px, 3]`, RGB."""
        self._env._last_action = None
        return np.ascontiguousarray(self._env.render())

    def pose(self, state: np.ndarray) -> np.ndarray:
        """The pusher as a hand: 10 cm above the plane, open."""
        return np.array([state[0] / 1000, state[1] / 1000, 0.1, np.pi, 0.0, 0.0, 0.0])

    def close(self, state: np.ndarray, goal: np.ndarray) -> bool:
        return bool(np.linalg.norm(state[:4] - goal[:4]) < CLOSE_PX and turned_rad(state, goal) < CLOSE_RAD)

    def object_m(self, state: np.ndarray) -> np.ndarray:
        return np.array([state[2] / 1000, state[3] / 1000, 0.0])

    def held(self, state: np.ndarray) -> bool:
        return False

    def apart(self, state: np.ndarray, goal: np.ndarray) -> float:
        return float(np.linalg.norm(state[:4] - goal[:4]) / CLOSE_PX + turned_rad(state, goal) / CLOSE_RAD)

    def kinds(self, start: np.ndarray, goal: np.ndarray) -> list[str]:
        stays = np.linalg.norm(start[2:4] - goal[2:4]) < CLOSE_PX and turned_rad(start, goal) < CLOSE_RAD
        return [] if stays else ["block moves"]

    def draw_action(self, rng: np.random.Generator) -> np.ndarray:
        return push(rng.uniform(-AXIS_PX, AXIS_PX, 2))

    def explore(
        self, rng: np.random.Generator, actions: int, pictures: bool = True
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """A pusher that goes up to the block, pushes, goes around it and wanders, and never asks what for."""
        self.set(draw_start(rng))
        states, frames = [self.state()], [self.render()] if pictures else []
        mode, left = "approach", 0
        for _ in range(actions):
            at, block = states[-1][:2], states[-1][2:4]
            if left == 0:
                mode = rng.choice(["approach", "push", "around", "wander"], p=[0.25, 0.45, 0.15, 0.15])
                left = int(rng.integers(1, 5))
                bearing = rng.uniform(0, 2 * np.pi)
                aside = rng.normal(0, 35, 2)
                beside = rng.uniform(60, 130) * np.array([np.cos(bearing), np.sin(bearing)])
            left -= 1
            if mode == "push":
                way = block + aside - at
                way *= rng.uniform(15, AXIS_PX) / max(np.linalg.norm(way), 1.0)
            elif mode == "approach":
                way = block + beside - at
            elif mode == "around":
                out = at - block
                turned = np.array([-out[1], out[0]]) * rng.choice([-1, 1])
                way = AXIS_PX * turned / max(np.linalg.norm(turned), 1.0)
            else:
                way = rng.uniform(-AXIS_PX, AXIS_PX, 2)
            way = np.clip(way + rng.normal(0, 4, 2), -AXIS_PX, AXIS_PX)
            states.append(self.step(push(way)))
            if pictures:
                frames.append(self.render())
        return states, frames


def draw_start(rng: np.random.Generator) -> np.ndarray:
    """A state like those gym-pusht resets to."""
    while True:
        state = np.array([*rng.uniform(50, 450, 2), *rng.uniform(110, 400, 2), rng.uniform(0, 2 * np.pi)])
        if np.hypot(*(state[:2] - state[2:4])) > 90:
            return state


def turned_rad(state: np.ndarray, other: np.ndarray) -> float:
    """By how much the block is turned."""
    turned = abs(state[4] - other[4]) % (2 * np.pi)
    return float(min(turned, 2 * np.pi - turned))


def push(way_px: np.ndarray) -> np.ndarray:
    """The action `[7]` that leads the pusher by so much."""
    return np.array([way_px[0] / 1000, way_px[1] / 1000, 0.0, 0.0, 0.0, 0.0, 0.0])
