"""Records Push-T for training: `python record.py 4000 data/train --seed 1000000`.

Every episode is a start of its own seed and a pusher that pushes now and then, without a goal. What is written are
pictures and where the pusher is, a pixel of the world as a millimetre; where the block is, nobody is told.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from foresight_bridge.environment import ArmState, Camera
from foresight_bridge.episodes import write_episode
from push_t import SIDE_PX, PushT, explore

DOWN = np.diag([1.0, -1.0, -1.0])
OPEN_M = 0.08


def arm(state):
    """The pusher as a hand: 10 cm above the plane, open."""
    pose = np.eye(4)
    pose[:3, :3] = DOWN
    pose[:3, 3] = [state[0] / 1000, state[1] / 1000, 0.1]
    return ArmState(np.zeros(7), np.zeros(7), pose, OPEN_M)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("episodes", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first; evaluation's are below a million")
    parser.add_argument("--actions", type=int, default=20)
    parser.add_argument("--image-px", type=int, default=96)
    args = parser.parse_args()
    if args.seed < 1_000_000:
        parser.error("seeds below 1000000 are for evaluation")
    env = PushT(args.image_px)
    middle = SIDE_PX / 2000
    camera = Camera(args.image_px, args.image_px, args.image_px / 2, (middle, middle, middle, np.pi, 0.0, 0.0))
    started = time.monotonic()
    for seed in range(args.seed, args.seed + args.episodes):
        name = f"pusht_{seed}"
        if next(args.out.glob(f"*/*/*/{name}"), None):
            continue
        states, frames = explore(env, np.random.default_rng(seed), args.actions)
        arms = [arm(state) for state in states]
        write_episode(args.out, name, arms, frames, camera=camera, max_width_m=OPEN_M, task="push the T", success=None)
        if (seed + 1 - args.seed) % 200 == 0:
            print(f"{seed + 1 - args.seed} episodes, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
