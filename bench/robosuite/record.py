"""Records episodes in robosuite for training: `python record.py Reach 500 data/train --seed 1000000`.

Every episode is a scene of its own seed. Actions are those a planner may ask for, up to 7.5 cm an axis: half of them
towards a place drawn for the episode (in Push, as often towards the cube), half at random. The hand hardly comes to
rest between two of them: a state is what is measured when its picture is taken, an action what lies between two
states. No success is needed and none is used.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from foresight_bridge import GripperCommand
from foresight_bridge.adapters.robosuite import DOWN, REACH_HIGH_M, REACH_LOW_M, TABLE_M, Push, make
from foresight_bridge.episodes import write_episode
from foresight_bridge.geometry import placement

AXIS_M = 0.075
STEPS_MOVING, STEPS_SETTLING = 11, 4


def play(environment, seed, actions):
    """One episode: states and pictures, one more than actions."""
    environment.reset(seed)
    rng = np.random.default_rng([seed, 1])
    pushes = isinstance(environment, Push)
    low = REACH_LOW_M - ([0.05, 0.05, 0.107] if pushes else [0.0, 0.0, 0.0])
    high = np.array([REACH_HIGH_M[0] + 0.08, REACH_HIGH_M[1], TABLE_M + 0.12]) if pushes else REACH_HIGH_M
    width_m = 0.0 if pushes else environment.max_width_m
    at = environment.arm().o_t_ee[:3, 3].copy()
    states, frames = [environment.arm()], [environment.render()]
    aim = rng.uniform(low, high)
    for _ in range(actions):
        if pushes and rng.random() < 0.5:
            aim = environment.cube_m + np.append(rng.normal(0.0, 0.03, 2), -0.007)
        towards = rng.random() < 0.5
        delta = np.clip(aim - at, -AXIS_M, AXIS_M) if towards else rng.uniform(-AXIS_M, AXIS_M, 3)
        goal = np.clip(at + delta, low, high)
        for step in range(STEPS_MOVING + STEPS_SETTLING):
            way = min(1.0, (step + 1) / STEPS_MOVING)
            environment.step(placement(DOWN, at + way * (goal - at)), GripperCommand(width_m))
        at = goal
        states.append(environment.arm())
        frames.append(environment.render())
    return states, frames


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["Reach", "Push"])
    parser.add_argument("episodes", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first; evaluation's are below a million")
    parser.add_argument("--actions", type=int, default=8)
    parser.add_argument("--image-px", type=int, default=128)
    args = parser.parse_args()
    if args.seed < 1_000_000:
        parser.error("seeds below 1000000 are for evaluation")
    environment = make(args.task, args.image_px)
    started = time.monotonic()
    for number in range(args.episodes):
        seed = args.seed + number
        name = f"{args.task.lower()}_{seed}"
        if next(args.out.glob(f"*/*/*/{name}"), None):
            continue
        states, frames = play(environment, seed, args.actions)
        camera, width_m = environment.camera, environment.max_width_m
        write_episode(
            args.out, name, states, frames, camera=camera, max_width_m=width_m, task=args.task, success=None
        )
        if (number + 1) % 20 == 0:
            print(f"{number + 1} episodes, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
