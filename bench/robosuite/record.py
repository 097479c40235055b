"""Records episodes in robosuite for training: `python record.py Reach 500 data/train --seed 1000000000`.

Every episode is a scene of its own seed. Actions are those a planner may ask for, up to 7.5 cm an axis: half of them
towards a place drawn for the episode, half at random; in Push more than half, and every other time towards the cube.
The hand hardly comes to rest between two of them: a state is what is measured when its picture is taken, an action
what lies between two states. No success is needed and none is used. Where the cube is goes with it for `model foresees`; no training reads it.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from foresight_bridge import GripperCommand
from foresight_bridge.adapters.robosuite import DOWN, REACH_HIGH_M, REACH_LOW_M, TABLE_M, Push, make
from foresight_bridge.episodes import TRAIN_SEED, Truth, write_episode
from foresight_bridge.geometry import placement

AXIS_M = 0.075
STEPS_MOVING, STEPS_SETTLING = 11, 4

BRANCHES, BRANCH_ACTIONS = 16, 2


class Recorder:
    """What the cube and the hand do, one state and one picture after another."""

    def __init__(self, environment):
        self.environment = environment
        self.states, self.frames, self.cubes_m = [], [], []
        self.look()

    def look(self):
        self.states.append(self.environment.arm())
        self.frames.append(self.environment.render())
        self.cubes_m.append(self.environment.cube_m.copy())

    def go(self, at, goal, width_m):
        for step in range(STEPS_MOVING + STEPS_SETTLING):
            way = min(1.0, (step + 1) / STEPS_MOVING)
            self.environment.step(placement(DOWN, at + way * (goal - at)), GripperCommand(width_m))
        self.look()

    def write(self, out, name, task, scene, branch=None):
        environment = self.environment
        truth = Truth(scene, self.cubes_m, [False] * len(self.cubes_m), branch)
        write_episode(
            out, name, self.states, self.frames, camera=environment.camera, max_width_m=environment.max_width_m,
            task=task, success=None, truth=truth,
        )


def play(environment, seed, actions):
    """One episode."""
    environment.reset(seed)
    rng = np.random.default_rng([seed, 1])
    pushes = isinstance(environment, Push)
    low, high = bounds(environment)
    width_m = 0.0 if pushes else environment.max_width_m
    at = environment.arm().o_t_ee[:3, 3].copy()
    recorder = Recorder(environment)
    aim = rng.uniform(low, high)
    for _ in range(actions):
        if pushes and rng.random() < 0.5:
            aim = environment.cube_m + np.append(rng.normal(0.0, 0.03, 2), -0.007)
        towards = rng.random() < (0.7 if pushes else 0.5)
        delta = np.clip(aim - at, -AXIS_M, AXIS_M) if towards else rng.uniform(-AXIS_M, AXIS_M, 3)
        goal = np.clip(at + delta, low, high)
        recorder.go(at, goal, width_m)
        at = goal
    return recorder


def branches(environment, seed):
    """Several ways on from the scene's beginning, where a push's hand stands beside the cube, each an episode: half of
    them at random, half towards the cube and past it."""
    rng = np.random.default_rng([seed, 2])
    low, high = bounds(environment)
    for number in range(BRANCHES):
        environment.reset(seed)
        at = environment.arm().o_t_ee[:3, 3].copy()
        recorder = Recorder(environment)
        for _ in range(BRANCH_ACTIONS):
            delta = rng.uniform(-AXIS_M, AXIS_M, 3)
            if number % 2:
                way = environment.cube_m - at
                delta = np.append(rng.uniform(0.5, 1.5) * way[:2] + rng.normal(0.0, 0.015, 2), rng.uniform(-0.01, 0.01))
            goal = np.clip(at + np.clip(delta, -AXIS_M, AXIS_M), low, high)
            recorder.go(at, goal, 0.0)
            at = goal
        yield recorder


def bounds(environment):
    if not isinstance(environment, Push):
        return REACH_LOW_M, REACH_HIGH_M
    return REACH_LOW_M - [0.05, 0.05, 0.107], np.array([REACH_HIGH_M[0] + 0.08, REACH_HIGH_M[1], TABLE_M + 0.12])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["Reach", "Push"])
    parser.add_argument("episodes", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=TRAIN_SEED, help="of the first")
    parser.add_argument("--actions", type=int, default=8)
    parser.add_argument("--branches", action="store_true", help="of each scene's beginning too, for `model foresees`")
    parser.add_argument("--image-px", type=int, default=128)
    args = parser.parse_args()
    if args.seed < TRAIN_SEED:
        parser.error(f"seeds below {TRAIN_SEED} are for evaluation")
    environment = make(args.task, args.image_px)
    started = time.monotonic()
    for number in range(args.episodes):
        seed = args.seed + number
        name = f"{args.task.lower()}_{seed}"
        if next(args.out.glob(f"*/*/*/{name}"), None):
            continue
        if args.branches:
            for index, branch in enumerate(branches(environment, seed)):
                branch.write(args.out, f"{name}_b{index:02}", args.task, seed, (0, index))
        play(environment, seed, args.actions).write(args.out, name, args.task, seed)
        if (number + 1) % 20 == 0:
            print(f"{number + 1} episodes, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
