"""Records a benchmark for training: `python record.py pusht 4000 data/train --seed 1000000000`.

Every episode is a start of its own seed and somebody who does things there, without a goal. What is written are
pictures and where the hand is. Where the object is goes with them for `model foresees`; no training reads it.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from benchmark import make
from foresight_bridge.environment import ArmState
from foresight_bridge.episodes import TRAIN_SEED, Truth, write_episode
from foresight_bridge.geometry import placement, rotation_of_euler

BRANCHES, BRANCH_ACTIONS = 16, 2
FLUNG_M = 0.25
"""Nothing is moved so far by one action; gym-pusht's block is, where a state is set in which things overlap a little."""


def arm(pose, max_width_m):
    width_m = (1.0 - pose[6]) * max_width_m
    return ArmState(np.zeros(7), np.zeros(7), placement(rotation_of_euler(pose[3:6]), pose[:3]), width_m)


def write(world, out, name, scene, states, frames, branch=None):
    objects_m = np.array([world.object_m(state) for state in states])
    if np.abs(np.diff(objects_m, axis=0)).max() > FLUNG_M:
        print(f"{name} is left out: the object was flung", flush=True)
        return
    arms = [arm(world.pose(state), world.max_width_m) for state in states]
    truth = Truth(scene, objects_m, [world.held(s) for s in states], branch)
    write_episode(
        out, name, arms, frames, camera=world.camera, max_width_m=world.max_width_m, task=world.task, success=None,
        truth=truth,
    )


def branches(world, state, rng):
    """Several ways on from one state."""
    for _ in range(BRANCHES):
        world.set(state)
        states, frames = [world.state()], [world.render()]
        for _ in range(BRANCH_ACTIONS):
            states.append(world.step(world.draw_action(rng)))
            frames.append(world.render())
        yield states, frames


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark")
    parser.add_argument("episodes", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=TRAIN_SEED, help="of the first")
    parser.add_argument("--branches", action="store_true", help="of one state of each episode too, for `model foresees`")
    args = parser.parse_args()
    if args.seed < TRAIN_SEED:
        parser.error(f"seeds below {TRAIN_SEED} are for evaluation")
    world = make(args.benchmark)
    started = time.monotonic()
    for seed in range(args.seed, args.seed + args.episodes):
        name = f"{world.name}_{seed}"
        if next(args.out.glob(f"*/*/*/{name}"), None):
            continue
        states, frames = world.explore(np.random.default_rng(seed), world.actions)
        if args.branches:
            rng = np.random.default_rng([seed, 1])
            step = int(rng.integers(len(states)))
            for index, way in enumerate(branches(world, states[step], rng)):
                write(world, args.out, f"{name}_b{index:02}", seed, *way, (step, index))
        write(world, args.out, name, seed, states, frames)
        if (seed + 1 - args.seed) % 100 == 0:
            print(f"{seed + 1 - args.seed} episodes, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
