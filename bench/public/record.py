"""Records a benchmark for training: `python record.py pusht 4000 data/train --seed 1000000`.

Every episode is a start of its own seed and somebody who does things there, without a goal. What is written are
pictures and where the hand is; where the object is, nobody is told.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from benchmark import make
from foresight_bridge.environment import ArmState
from foresight_bridge.episodes import write_episode
from foresight_bridge.geometry import placement, rotation_of_euler


def arm(pose, max_width_m):
    width_m = (1.0 - pose[6]) * max_width_m
    return ArmState(np.zeros(7), np.zeros(7), placement(rotation_of_euler(pose[3:6]), pose[:3]), width_m)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark")
    parser.add_argument("episodes", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first; evaluation's are below a million")
    args = parser.parse_args()
    if args.seed < 1_000_000:
        parser.error("seeds below 1000000 are for evaluation")
    world = make(args.benchmark)
    started = time.monotonic()
    for seed in range(args.seed, args.seed + args.episodes):
        name = f"{world.name}_{seed}"
        if next(args.out.glob(f"*/*/*/{name}"), None):
            continue
        states, frames = world.explore(np.random.default_rng(seed), world.actions)
        arms = [arm(world.pose(state), world.max_width_m) for state in states]
        write_episode(
            args.out, name, arms, frames, camera=world.camera, max_width_m=world.max_width_m, task=world.task, success=None
        )
        if (seed + 1 - args.seed) % 100 == 0:
            print(f"{seed + 1 - args.seed} episodes, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
