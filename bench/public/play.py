"""Plays a benchmark towards pictures: `python play.py pusht runs/pusht/model --episodes 200 --json pusht.json`.

A task is two states of an episode nobody trained on, the published 25 steps of the simulator apart, and 50 steps to get
from the one to the other; what is seen of the goal is its picture. A start that already counts as the goal is no task:
those are counted and left out. Success is the simulator's own state, by the published measure. Beside the model play
one who does nothing, one who does anything, one who knows where the hand is at the goal and goes there, one who
repeats the recorded way whose ends look most like now and the goal, and, when asked for, one who searches in the
simulator itself.
"""

import argparse
import json
import math
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from benchmark import BUDGET, OFFSET, between, make
from foresight_bridge import Planner
from foresight_bridge.episodes import read_frames


LEAST_HORIZON = 2
"""Actions that are planned ahead at least, while there are so many left."""
SIMULATED, ELITES, ITERATIONS = 64, 8, 5
"""Candidates of the search in the simulator itself, those that it goes on from, and how often."""


def wilson(successes, episodes, z=1.96):
    if episodes == 0:
        return 0.0, 1.0
    share = successes / episodes
    middle = share + z * z / (2 * episodes)
    spread = z * math.sqrt(share * (1 - share) / episodes + z * z / (4 * episodes**2))
    whole = 1 + z * z / episodes
    return max((middle - spread) / whole, 0.0), min((middle + spread) / whole, 1.0)


def horizon(left):
    """Actions planned ahead: to be there when the recorded episode was; then there is a little longer."""
    return min(left, max(OFFSET - (BUDGET - left), LEAST_HORIZON))


class Model:
    def __init__(self, planner, settings):
        self.planner, self.settings = planner, settings

    def act(self, world, task, left, seed):
        settings = [*self.settings, f"planner.horizon={horizon(left)}"]
        pose = world.pose(world.state())
        return self.planner.plan(world.render(), task["picture"], pose, seed=seed, settings=settings).actions[0]


class Dynamics:
    """The planner's search with the simulator in place of the model, told how far apart true states are: foresight
    without fault. Fewer candidates than the model has, since each is simulated."""

    def __init__(self, benchmark):
        self.imagined = make(benchmark)

    def cost(self, ahead, goal):
        for action in ahead:
            state = self.imagined.step(action)
        return self.imagined.apart(state, goal)

    def act(self, world, task, left, seed):
        rng, here = np.random.default_rng([seed, 2]), world.state()
        candidates = np.array([[world.draw_action(rng) for _ in range(horizon(left))] for _ in range(SIMULATED)])
        for _ in range(ITERATIONS):
            costs = []
            for ahead in candidates:
                self.imagined.set(here)
                costs.append(self.cost(ahead, task["goal"]))
            elites = candidates[np.argsort(costs)[:ELITES]]
            best, mean, std = elites[0], elites.mean(0), elites.std(0)
            candidates = np.concatenate([[best, mean], rng.normal(mean, std, (SIMULATED - 2, *mean.shape))])
        return best[0]


class Nothing:
    def act(self, world, task, left, seed):
        return np.zeros(7)


class Random:
    def act(self, world, task, left, seed):
        return world.draw_action(np.random.default_rng([seed, 1]))


class Blind:
    """Knows the hand's pose at the goal, and nothing of the object."""

    def act(self, world, task, left, seed):
        return between(world.pose(world.state()), world.pose(task["goal"]))


class Nearest:
    """Repeats the recorded way whose ends look most like now and the goal."""

    def __init__(self, data):
        self.ends, self.ways = [], []
        for folder in sorted(Path(data).glob("*/*/*/*")):
            frames, poses = read_frames(folder)
            small = frames[:, ::4, ::4].reshape(len(frames), -1)
            for first in range(0, len(frames) - OFFSET, 2):
                self.ends.append(np.concatenate([small[first], small[first + OFFSET]]))
                way = poses[first : first + OFFSET + 1]
                self.ways.append([between(now, following) for now, following in zip(way, way[1:])])
        self.ends = np.array(self.ends)
        self.way = []

    def act(self, world, task, left, seed):
        if left == BUDGET or not self.way:
            now = world.render()[::4, ::4].reshape(-1)
            goal = task["picture"][::4, ::4].reshape(-1)
            wanted = np.concatenate([now, goal]).astype(np.int32)
            apart = [np.abs(part - wanted).sum(1) for part in np.array_split(self.ends, 64)]
            self.way = list(self.ways[int(np.argmin(np.concatenate(apart)))])
        return self.way.pop(0)


def task_of(world, seed):
    rng = np.random.default_rng(seed)
    states, _ = world.explore(rng, world.actions, pictures=False)
    first = int(rng.integers(0, world.actions - OFFSET + 1))
    start, goal = states[first], states[first + OFFSET]
    world.set(goal)
    return {"start": start, "goal": goal, "picture": world.render(), "kinds": world.kinds(start, goal)}


def play(world, player, task, seed):
    world.set(task["start"])
    for step in range(BUDGET):
        state = world.step(player.act(world, task, BUDGET - step, seed * BUDGET + step))
        if world.close(state, task["goal"]):
            return True
    return False


def so_far(tasks_file, asked):
    """What an earlier, interrupted run has played, a line a task and player."""
    if not tasks_file.exists():
        tasks_file.write_text(json.dumps(asked) + "\n")
    first, *lines = tasks_file.read_text().splitlines()
    if json.loads(first) != asked:
        raise SystemExit(f"{tasks_file} is of another run, {first}: delete it or name another --json")
    return [json.loads(line) for line in lines]


def summary(played):
    """Successes and tasks by player and kind."""
    results = {}
    for line in played:
        for kind in ["all", *line["kinds"]]:
            count = results.setdefault(line["player"], {}).setdefault(kind, {"successes": 0, "played": 0})
            count["successes"] += line["achieved"]
            count["played"] += 1
    for player, kinds in results.items():
        for kind, count in kinds.items():
            low, high = count["ci95"] = wilson(count["successes"], count["played"])
            print(f"{player}, {kind}: {count['successes']} of {count['played']} ({100 * low:.0f} to {100 * high:.0f} %)")
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark")
    parser.add_argument("model", type=Path)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=3000)
    parser.add_argument("--players", default="model,nothing,random,blind,nearest")
    parser.add_argument("--data", type=Path, help="recorded episodes, for nearest")
    parser.add_argument("--set", action="append", default=[], help="planner settings over the benchmark's")
    parser.add_argument("--json", type=Path, required=True, help="counts; every task beside it, FILE.tasks")
    args = parser.parse_args()
    world = make(args.benchmark)
    settings = [*world.settings, *args.set]
    names = args.players.split(",")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    tasks_file = args.json.with_suffix(".tasks")
    played = so_far(tasks_file, {"benchmark": args.benchmark, "model": str(args.model), "settings": settings})
    done, solved = {(line["seed"], line["player"]) for line in played}, 0
    with Planner(args.model) if "model" in names else nullcontext() as planner, tasks_file.open("a") as tasks:
        made = {
            "model": lambda: Model(planner, settings), "nothing": Nothing, "random": Random, "blind": Blind,
            "nearest": lambda: Nearest(args.data), "dynamics": lambda: Dynamics(args.benchmark),
        }
        players = {name: made[name]() for name in names}
        for seed in range(args.seed, args.seed + args.episodes):
            task = task_of(world, seed)
            if world.close(task["start"], task["goal"]):
                solved += 1
                continue
            for name, player in players.items():
                if (seed, name) in done:
                    continue
                started = time.monotonic()
                achieved = play(world, player, task, seed)
                took_s = round(time.monotonic() - started, 2)
                line = {"seed": seed, "player": name, "kinds": task["kinds"], "achieved": achieved, "seconds": took_s}
                played.append(line)
                print(json.dumps(line), file=tasks, flush=True)
    results = summary([line for line in played if 0 <= line["seed"] - args.seed < args.episodes])
    print(f"{solved} of {args.episodes} starts were solved already")
    said = {"solved_starts": solved, "seed": args.seed, "episodes": args.episodes, "settings": settings, **results}
    args.json.write_text(json.dumps(said, indent=2) + "\n")


if __name__ == "__main__":
    main()
