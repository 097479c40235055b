"""Plays Push-T towards pictures: `python evaluate.py runs/pusht/model --episodes 200 --json pusht.json`.

A task is two states of an episode nobody trained on, the published 25 steps of the simulator apart, and 50 steps to get
from the one to the other; what is seen of the goal is its picture. A start that already counts as the goal is no task:
those are counted and left out. Success is the simulator's own state, by stable-worldmodel's measure. Beside the model
play a pusher that does nothing, one that does anything, one that knows where the pusher is at the goal and goes there,
and one that repeats the recorded way whose ends look most like now and the goal.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
from foresight_bridge import Planner
from foresight_bridge.episodes import read_frames
from push_t import AXIS_PX, STEPS_AN_ACTION, PushT, close, explore

OFFSET, BUDGET = 25 // STEPS_AN_ACTION, 50 // STEPS_AN_ACTION
ACTIONS = 20


def wilson(successes, episodes, z=1.96):
    if episodes == 0:
        return 0.0, 1.0
    share = successes / episodes
    middle = share + z * z / (2 * episodes)
    spread = z * math.sqrt(share * (1 - share) / episodes + z * z / (4 * episodes**2))
    whole = 1 + z * z / episodes
    return max((middle - spread) / whole, 0.0), min((middle + spread) / whole, 1.0)


class Model:
    def __init__(self, planner, settings):
        self.planner, self.settings = planner, settings

    def act(self, env, task, left, seed):
        horizon = min(OFFSET, left)
        state = env.state()
        pose = [state[0] / 1000, state[1] / 1000, 0.1, math.pi, 0.0, 0.0, 0.0]
        settings = [*self.settings, f"planner.horizon={horizon}"]
        plan = self.planner.plan(env.render(), task["picture"], pose, seed=seed, settings=settings)
        return 1000 * plan.actions[0, :2]


class Nothing:
    def act(self, env, task, left, seed):
        return np.zeros(2)


class Random:
    def act(self, env, task, left, seed):
        return np.random.default_rng([seed, 1]).uniform(-AXIS_PX, AXIS_PX, 2)


class Blind:
    """Knows where the pusher is at the goal, and nothing of the block."""

    def act(self, env, task, left, seed):
        return task["goal"][:2] - env.state()[:2]


class Nearest:
    """Repeats the recorded way whose ends look most like now and the goal."""

    def __init__(self, data):
        self.ends, self.ways = [], []
        for folder in sorted(Path(data).glob("*/*/*/*")):
            frames, states = read_frames(folder)
            small = frames[:, ::4, ::4].reshape(len(frames), -1)
            for first in range(0, len(frames) - OFFSET, 2):
                self.ends.append(np.concatenate([small[first], small[first + OFFSET]]))
                self.ways.append(1000 * np.diff(states[first : first + OFFSET + 1, :2], axis=0))
        self.ends = np.array(self.ends)
        self.way = []

    def act(self, env, task, left, seed):
        if left == BUDGET or not self.way:
            now = env.render()[::4, ::4].reshape(-1)
            goal = task["picture"][::4, ::4].reshape(-1)
            wanted = np.concatenate([now, goal]).astype(np.int32)
            apart = [np.abs(part - wanted).sum(1) for part in np.array_split(self.ends, 64)]
            self.way = list(self.ways[int(np.argmin(np.concatenate(apart)))])
        return self.way.pop(0)


def task_of(env, seed):
    rng = np.random.default_rng(seed)
    states, _ = explore(env, rng, ACTIONS)
    first = int(rng.integers(0, ACTIONS - OFFSET + 1))
    start, goal = states[first], states[first + OFFSET]
    env.set(goal)
    turned = abs(start[4] - goal[4]) % (2 * np.pi)
    stays = np.linalg.norm(start[2:4] - goal[2:4]) < 20 and min(turned, 2 * np.pi - turned) < np.pi / 9
    return {"start": start, "goal": goal, "picture": env.render(), "stays": bool(stays)}


def play(env, player, task, seed):
    env.set(task["start"])
    for step in range(BUDGET):
        state = env.step(player.act(env, task, BUDGET - step, seed * BUDGET + step))
        if close(state, task["goal"]):
            return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=3000)
    parser.add_argument("--players", default="model,nothing,random,blind,nearest")
    parser.add_argument("--data", type=Path, help="recorded episodes, for nearest")
    parser.add_argument("--set", action="append", default=[], help="planner settings over the script's")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    settings = [
        "planner.preset=paper", "planner.samples=300", "planner.iterations=10", "planner.topk=30", 'planner.dimensions=["x","y"]',
        "planner.momentum_mean=0.0", "planner.momentum_std=0.0", "planner.mean_is_candidate=true", *args.set,
    ]
    env, results = PushT(), {}
    with Planner(args.model) as planner:
        made = {
            "model": lambda: Model(planner, settings), "nothing": Nothing, "random": Random, "blind": Blind,
            "nearest": lambda: Nearest(args.data),
        }
        players = {name: made[name]() for name in args.players.split(",")}
        counts = {name: {"block moves": [0, 0], "all": [0, 0]} for name in players}
        solved, seconds = 0, 0.0
        for seed in range(args.seed, args.seed + args.episodes):
            task = task_of(env, seed)
            if close(task["start"], task["goal"]):
                solved += 1
                continue
            for name, player in players.items():
                started = time.monotonic()
                achieved = play(env, player, task, seed)
                seconds += (time.monotonic() - started) * (name == "model")
                for kind in ["all"] + ([] if task["stays"] else ["block moves"]):
                    counts[name][kind][0] += achieved
                    counts[name][kind][1] += 1
    for name, kinds in counts.items():
        for kind, (successes, played) in kinds.items():
            low, high = wilson(successes, played)
            results.setdefault(name, {})[kind] = {"successes": successes, "played": played, "ci95": [low, high]}
            print(f"{name}, {kind}: {successes} of {played} ({100 * low:.0f} to {100 * high:.0f} %)")
    print(f"{solved} of {args.episodes} starts were solved already; {seconds:.0f} s with the model")
    if args.json:
        said = {"solved_starts": solved, "seed": args.seed, "episodes": args.episodes, "settings": settings, **results}
        args.json.write_text(json.dumps(said, indent=2) + "\n")


if __name__ == "__main__":
    main()
