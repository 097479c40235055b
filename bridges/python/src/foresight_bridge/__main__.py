"""Serves a simulator: `python -m foresight_bridge robosuite Reach`."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import threading
from pathlib import Path

from .bridge import Bridge, png
from .environment import Environment, Task


def save_goals(environment: Environment, folder: Path) -> None:
    """Writes the running scene's goal images, and says how a scenario names them."""
    if not isinstance(environment, Task):
        raise SystemExit("this environment has no goals to save")
    folder.mkdir(parents=True, exist_ok=True)
    for goal in environment.goals():
        file = folder / f"{goal.name}.png"
        file.write_bytes(png(goal.image, environment))
        pose = None if goal.pose is None else [round(v, 5) for v in goal.pose]
        (folder / f"{goal.name}.json").write_text(json.dumps({"name": goal.name, "pose": pose}) + "\n")
        print(f'[[subgoal]]\nname = "{goal.name}"\nsteps = 8\nimage = "{file}"')
        if pose is not None:
            print(f"pose = {pose}")


def main() -> None:
    """Serves until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="foresight-bridge", description=__doc__)
    parser.add_argument("simulator", choices=["robosuite", "mujoco"])
    parser.add_argument("scene", nargs="?", help="robosuite: Reach, Push, Lift or an environment's name; mujoco: an MJCF file")
    parser.add_argument("--listen", action="append", metavar="ENDPOINT", help="tcp/127.0.0.1:7447 when absent")
    parser.add_argument("--seed", type=int, default=0, help="of the first scene")
    parser.add_argument("--goals", type=Path, metavar="DIR", help="save the first scene's goal images there")
    parser.add_argument("--arm", default="fr3", help="the arm's name in franka/ARM/…")
    parser.add_argument("--camera", default="front", help="the camera's name in franka/cam/CAMERA/…")
    parser.add_argument("--image-px", type=int, default=128, help="width and height of the frames")
    parser.add_argument("--fps", type=float, default=10.0, help="frames a second; drawing on a CPU takes most of its time")
    parser.add_argument("--lock-step", action="store_true", help="let time pass only as targets come")
    parser.add_argument("--zenoh-config", type=Path, metavar="FILE", help="a zenoh configuration (JSON5) to start from")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    environment: Environment
    if args.simulator == "robosuite":
        from .adapters.robosuite import make

        environment = make(args.scene or "Reach", args.image_px)
    else:
        from .adapters.mujoco import MujocoArm

        environment = MujocoArm(args.scene, image_px=args.image_px)
    environment.reset(args.seed)
    if args.goals:
        save_goals(environment, args.goals)
    bridge = Bridge(
        environment,
        listen=args.listen or ["tcp/127.0.0.1:7447"],
        arm=args.arm,
        camera=args.camera,
        lock_step=args.lock_step,
        frames_per_second=args.fps,
        zenoh_config=args.zenoh_config,
    )
    print(f"camera extrinsics = {[round(v, 5) for v in environment.camera.extrinsics]}")
    print(f"{args.simulator} (seed {args.seed}): arm franka/{args.arm}, camera franka/cam/{args.camera}; Ctrl-C ends it")
    stop = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: stop.set())
    bridge.serve(stop)


if __name__ == "__main__":
    main()
