"""OGBench's cube-single with states that can be set, an action of a quarter of a second, and OGBench's success."""

from __future__ import annotations

import os
from dataclasses import dataclass

os.environ.setdefault("MUJOCO_GL", "osmesa")

import mujoco
import numpy as np
from benchmark import STEPS_AN_ACTION
from foresight_bridge.environment import Camera
from ogbench.manipspace.envs.cube_env import CubeEnv
from ogbench.manipspace.oracles.plan.cube_plan import CubePlanOracle

CLOSE_M = 0.04
"""Success as OGBench counts it: the cube's centre within this of where it is at the goal."""
FARTHEST = np.array([0.2, 0.2, 0.2, 1.0, 1.0])
"""What an action asks for at most: along x, y and z, m, about the vertical, rad, closedness."""
ARM_WEIGHT = 0.2
"""Of where the arm is beside where the cube is, in how far two states are apart."""
STEPS_OF_PHYSICS = 25
"""0.002 s each, in one of the simulator's steps, 0.05 s."""
HELD = 0.5
"""Fingers told to close further than this hold a cube that is between them."""
KNOWN = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True)
class State:
    """All that the simulator goes on from, and what the arm was told last."""

    physics: np.ndarray
    told: np.ndarray
    """`[5]`: x, y, z, m, the angle about the vertical, rad, closedness."""
    cube_m: np.ndarray


class Benchmark:
    """One cube, an arm that hangs down over it. Of an action x, y, z, the turn about the vertical and closedness count:
    by how much what the arm is told changes, evenly in the five steps that it takes."""

    name, task = "cube", "carry the cube"
    max_width_m = 0.085
    actions = 40
    settings = [
        "planner.preset=paper", "planner.samples=300", "planner.iterations=10", "planner.topk=30",
        'planner.dimensions=["x","y","z","rz","gripper"]', "planner.momentum_mean=0.0", "planner.momentum_std=0.0",
        "planner.mean_is_candidate=true", "planner.box_m=0.2", "planner.rotation_rad=1.0", "planner.gripper_deadband=0.3",
    ]

    def __init__(self, image_px: int = 64) -> None:
        # Neither the place that its demonstrator has in mind nor success is to be seen in the pictures.
        self._env = CubeEnv("single", ob_type="pixels", mode="data_collection", visualize_info=False, width=image_px, height=image_px)
        self._env.reset(seed=0)
        # Shadows and smooth edges take a CPU six times as long.
        self._env.model.vis.quality.offsamples = 0
        self._renderer = mujoco.Renderer(self._env.model, image_px, image_px)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        self._told = self._measured()
        focal_px = image_px / 2 / np.tan(np.deg2rad(self._env.model.camera("front_pixels").fovy[0]) / 2)
        self.camera = Camera(image_px, image_px, focal_px, (1.053, -0.014, 0.639, np.pi - 0.89, 0.0, np.pi / 2))

    def _measured(self) -> np.ndarray:
        info = self._env.compute_ob_info()
        return np.concatenate([info["proprio/effector_pos"], info["proprio/effector_yaw"], info["proprio/gripper_opening"]])

    def _within_bounds(self, told: np.ndarray) -> np.ndarray:
        """What OGBench's controller makes of `told`: inside its workspace, between open and closed."""
        low, high = self._env._workspace_bounds
        return np.concatenate([np.clip(told[:3], low, high), told[3:4], np.clip(told[4:], 0.0, 1.0)])

    def _advance(self, told: np.ndarray) -> None:
        """One step of the simulator towards `told`, by OGBench's own controller."""
        env = self._env
        way = told - self._measured()
        way[3] = (way[3] + np.pi) % (2 * np.pi) - np.pi
        env.set_control(env.normalize_action(way))
        env.pre_step()
        mujoco.mj_step(env.model, env.data, nstep=STEPS_OF_PHYSICS)
        env.post_step()

    def set(self, state: State) -> None:
        mujoco.mj_setState(self._env.model, self._env.data, state.physics, KNOWN)
        mujoco.mj_forward(self._env.model, self._env.data)
        self._told = state.told.copy()

    def state(self) -> State:
        model, data = self._env.model, self._env.data
        physics = np.empty(mujoco.mj_stateSize(model, KNOWN))
        mujoco.mj_getState(model, data, physics, KNOWN)
        return State(physics, self._told.copy(), data.joint("object_joint_0").qpos[:3].copy())

    def step(self, action: np.ndarray) -> State:
        before = self._told
        told = self._within_bounds(before + np.clip(action[[0, 1, 2, 5, 6]], -FARTHEST, FARTHEST))
        for step in range(1, STEPS_AN_ACTION + 1):
            self._advance(before + (told - before) * step / STEPS_AN_ACTION)
        self._told = told
        return self.state()

    def render(self) -> np.ndarray:
        self._renderer.update_scene(self._env.data, camera="front_pixels")
        return self._renderer.render()

    def pose(self, state: State) -> np.ndarray:
        x, y, z, angle, closedness = state.told
        angle = (angle + np.pi) % (2 * np.pi) - np.pi
        return np.array([x, y, z, np.pi, 0.0, angle, closedness])

    def close(self, state: State, goal: State) -> bool:
        return bool(np.linalg.norm(state.cube_m - goal.cube_m) <= CLOSE_M)

    def object_m(self, state: State) -> np.ndarray:
        return state.cube_m

    def held(self, state: State) -> bool:
        return bool(state.told[4] > HELD and np.linalg.norm(state.told[:3] - state.cube_m) < CLOSE_M)

    def apart(self, state: State, goal: State) -> float:
        arm = np.linalg.norm(state.told[:3] - goal.told[:3]) + CLOSE_M * abs(state.told[4] - goal.told[4])
        return float(np.linalg.norm(state.cube_m - goal.cube_m) + ARM_WEIGHT * arm) / CLOSE_M

    def kinds(self, start: State, goal: State) -> list[str]:
        return ["cube held at the start" if self.held(start) else "cube to be grasped"]

    def draw_action(self, rng: np.random.Generator) -> np.ndarray:
        drawn = rng.uniform(-FARTHEST, FARTHEST)
        return np.array([*drawn[:3], 0.0, 0.0, *drawn[3:]])

    def explore(
        self, rng: np.random.Generator, actions: int, pictures: bool = True
    ) -> tuple[list[State], list[np.ndarray]]:
        """OGBench's demonstrator that follows a plan, from one place that it draws to the next; what it does trembles,
        in half of the episodes more than OGBench's own."""
        env = self._env
        np.random.seed(int(rng.integers(2**32)))
        _, info = env.reset(seed=int(rng.integers(2**31)))
        noise = 0.1 if rng.random() < 0.5 else rng.uniform(0.1, 0.6)
        demonstrator = CubePlanOracle(env=env, noise=noise, noise_smoothing=0.5)
        demonstrator.reset(None, info)
        self._told = self._measured()
        states, frames = [self.state()], [self.render()] if pictures else []
        for _ in range(actions):
            for _ in range(STEPS_AN_ACTION):
                if demonstrator.done:
                    _, info = env.set_new_target()
                    demonstrator.reset(None, info)
                action = demonstrator.select_action(None, env.compute_ob_info())
                self._told = self._within_bounds(self._measured() + env.unnormalize_action(action))
                self._advance(self._told)
            states.append(self.state())
            if pictures:
                frames.append(self.render())
        return states, frames
