"""Planners in the closed loop, on the same fresh scenes.

    python bench/closed_loop.py --foresight target/release/foresight --out closed-loop.jsonl

plays `--episodes` scenes of a scenario in virtual time with each planner, a block of scenes at a
time and the planners in turn, so that whatever has been played is always comparable. Blocks that
--out holds already are not played again: a study that was stopped goes on where it was.

Prints, for each planner, successes with Wilson's 95 % interval, and for every other planner against
the first the scenes that only one of them achieved, with the exact two-sided sign test over those.
Needs nothing but Python.
"""

import argparse
import json
import math
import pathlib
import re
import subprocess
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--foresight", required=True, help="the program")
    parser.add_argument("--scenario", default="scenarios/pick_and_place.toml")
    parser.add_argument("--planners", nargs="+", default=["paper", "fast"])
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=610000, help="of the first scene")
    parser.add_argument("--block", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="JSON lines, a block each")
    parser.add_argument("options", nargs="*", help="after --, further options of foresight eval")
    return parser.parse_args()


def play(args, planner, seed, episodes):
    command = [args.foresight, "eval", args.scenario, "--planner", planner, "--seed", str(seed),
               "--episodes", str(episodes), "--jobs", str(args.jobs), "--json", *args.options]
    started = time.time()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # A line an episode on standard error: "seed 610003: achieved, …".
    verdicts = re.findall(r"^seed (\d+): (achieved|failed)", done.stderr, re.MULTILINE)
    result = json.loads(done.stdout)
    achieved = sorted(int(seed) for seed, verdict in verdicts if verdict == "achieved")
    if len(verdicts) != episodes or len(achieved) != result["successes"]:
        raise SystemExit(f"{len(verdicts)} verdicts for {episodes} episodes:\n{done.stderr}")
    return dict(planner=planner, seed=seed, episodes=episodes, achieved=achieved,
                planned_by=result["planned_by"], failures=result["failures"],
                seconds_per_action=result["seconds_per_action"], seconds=time.time() - started)


def wilson(successes, n, z=1.959964):
    rate, share = successes / n, z * z / n
    middle = (rate + share / 2) / (1 + share)
    half = z * math.sqrt(rate * (1 - rate) / n + share / (4 * n)) / (1 + share)
    return middle - half, middle + half


def sign_test(a, b):
    """Two-sided probability of a split at least as uneven as `a` to `b`."""
    n = a + b
    tail = sum(math.comb(n, k) for k in range(min(a, b) + 1)) / 2**n
    return min(1.0, 2 * tail)


def main():
    args = parse()
    blocks = []
    if args.out.exists():
        blocks = [json.loads(line) for line in args.out.read_text().splitlines()]
    known = {(b["planner"], b["seed"], b["episodes"]) for b in blocks}
    for first in range(0, args.episodes, args.block):
        for planner in args.planners:
            key = (planner, args.seed + first, min(args.block, args.episodes - first))
            if key in known:
                continue
            blocks.append(play(args, *key))
            with args.out.open("a") as out:
                out.write(json.dumps(blocks[-1]) + "\n")
            print(f"{planner}, seeds from {key[1]}: {len(blocks[-1]['achieved'])}/{key[2]}",
                  flush=True)
    scenes, achieved = {}, {}
    for planner in args.planners:
        own = [b for b in blocks if b["planner"] == planner
               and args.seed <= b["seed"] < args.seed + args.episodes]
        scenes[planner] = {s for b in own for s in range(b["seed"], b["seed"] + b["episodes"])}
        achieved[planner] = {s for b in own for s in b["achieved"]}
        n, k = len(scenes[planner]), len(achieved[planner])
        low, high = wilson(k, n)
        mean = sum(b["seconds_per_action"] * b["episodes"] for b in own) / n
        failures = {}
        for block in own:
            for kind, count in block["failures"].items():
                failures[kind] = failures.get(kind, 0) + count
        print(f"{planner}: {k}/{n} ({100 * low:.0f}-{100 * high:.0f} %), {mean:.3f} s an action, "
              f"failures {failures}; {own[0]['planned_by']}")
    reference = args.planners[0]
    for planner in args.planners[1:]:
        both = scenes[reference] & scenes[planner]
        only = len((achieved[planner] - achieved[reference]) & both)
        other = len((achieved[reference] - achieved[planner]) & both)
        print(f"{planner} against {reference}, {len(both)} scenes: only {planner} {only}, only "
              f"{reference} {other}, sign test p = {sign_test(only, other):.2f}")


if __name__ == "__main__":
    main()
