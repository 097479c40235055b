"""Continuous motion against stop-and-go, on the same scenes in turn.

    python bench/continuous.py --foresight target/release/foresight --out continuous.jsonl
    python bench/continuous.py … --virtual       # in virtual time, with a fixed latency

plays every scene once in each mode by `foresight run`, in real time over zenoh against the served
simulator unless --virtual, modes alternating and their order too. Scenes that --out holds already
are not played again: a study that was stopped goes on where it was.

Prints for each scenario and mode: successes with Wilson's 95 % interval, seconds of the arm's clock
from the first look to the last at rest (an episode), seconds from look to look (an action), the
share of the whole command's wall time, refused targets, dropped decisions, latencies, and how far
the hand rested from its last command. Needs nothing but Python.
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import tempfile
import time

MODES = ["stop_and_go", "continuous"]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--foresight", required=True, help="the program")
    parser.add_argument("--scenarios", nargs="+",
                        default=["scenarios/reach.toml", "scenarios/pick_and_place.toml"])
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=920000, help="of the first scene")
    parser.add_argument("--virtual", action="store_true", help="in virtual time")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="JSON lines, a run each")
    parser.add_argument("options", nargs="*", help="after --, further options of foresight run")
    return parser.parse_args()


def play(args, scenario, mode, seed):
    with tempfile.TemporaryDirectory() as folder:
        command = [args.foresight, "run", scenario, "--seed", str(seed), "--json", "--out", folder,
                   "--set", f'motion="{mode}"', *(["--virtual-time"] if args.virtual else []),
                   *args.options]
        started = time.time()
        done = subprocess.run(command, capture_output=True, text=True)
        wall_s = time.time() - started
        if done.returncode not in (0, 1) or not done.stdout.strip():
            raise SystemExit(f"{' '.join(command)}:\n{done.stderr}")
        result = json.loads(done.stdout)
        lines = (pathlib.Path(result["run_dir"]) / "plan.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    ends = [step["arm_time_s"] for step in steps[1:]]
    ends.append(steps[0]["arm_time_s"] + result["arm_seconds"])
    motion = [step.get("motion") or {} for step in steps]
    last, end = steps[-1], result["end_error_m"]
    return dict(scenario=scenario, mode=mode, seed=seed, virtual=args.virtual, wall_s=wall_s,
                success=result["success"], reason=result["reason"], arm_s=result["arm_seconds"],
                actions_s=[b - a["arm_time_s"] for a, b in zip(steps, ends)],
                plan_s=[step["seconds"]["plan"] for step in steps],
                latency_s=[m["latency_s"] for m in motion if m.get("latency_s")],
                dropped=result["dropped"], refused=result["refused_targets"], end_error_m=end,
                blocked=sum(step["blocked"] for step in steps), settled=last["arm_settled"])


def wilson(successes, n, z=1.959964):
    rate, share = successes / n, z * z / n
    middle = (rate + share / 2) / (1 + share)
    half = z * math.sqrt(rate * (1 - rate) / n + share / (4 * n)) / (1 + share)
    return middle - half, middle + half


def spread(values, scale=1.0, digits=2):
    if not values:
        return "-"
    middle = statistics.median(values) * scale
    worst = max(values) * scale
    return f"{middle:.{digits}f} (at most {worst:.{digits}f})"


def main():
    args = parse()
    runs = []
    if args.out.exists():
        runs = [json.loads(line) for line in args.out.read_text().splitlines()]
    known = {(r["scenario"], r["mode"], r["seed"], r["virtual"]) for r in runs}
    for scenario in args.scenarios:
        for number in range(args.episodes):
            seed = args.seed + number
            for mode in MODES if number % 2 == 0 else reversed(MODES):
                if (scenario, mode, seed, args.virtual) in known:
                    continue
                runs.append(play(args, scenario, mode, seed))
                with args.out.open("a") as out:
                    out.write(json.dumps(runs[-1]) + "\n")
    for scenario in args.scenarios:
        own = [r for r in runs if r["scenario"] == scenario and r["virtual"] == args.virtual
               and args.seed <= r["seed"] < args.seed + args.episodes]
        of = {mode: [r for r in own if r["mode"] == mode] for mode in MODES}
        print(f"{scenario}, {'virtual' if args.virtual else 'real'} time")
        for mode, played in of.items():
            achieved = sum(r["success"] is True for r in played)
            low, high = wilson(achieved, len(played))
            flat = lambda key: [v for r in played for v in r[key]]
            each = lambda key: [r[key] for r in played]
            print(f"  {mode}: {achieved}/{len(played)} ({100 * low:.0f}-{100 * high:.0f} %), "
                  f"episode {spread(each('arm_s'))} s, action {spread(flat('actions_s'))} s, "
                  f"plan {spread(flat('plan_s'), 1, 3)} s, "
                  f"latency {spread(flat('latency_s'), 1, 3)} s, command {spread(each('wall_s'))} s, "
                  f"{sum(each('refused'))} targets refused, {sum(each('dropped'))} of "
                  f"{len(flat('actions_s'))} decisions dropped, {sum(each('blocked'))} blocked, "
                  f"end error {spread(each('end_error_m'), 1e3)} mm")
        pairs = [(a, b) for a in of[MODES[0]] for b in of[MODES[1]] if a["seed"] == b["seed"]]
        for key in ["arm_s", "wall_s"]:
            ratio = (statistics.median(b[key] for _, b in pairs)
                     / statistics.median(a[key] for a, _ in pairs))
            print(f"  {key}: median continuous {100 * ratio:.0f} % of stop-and-go's")
        only = [sum(a["success"] is True and b["success"] is not True for a, b in pairs),
                sum(b["success"] is True and a["success"] is not True for a, b in pairs)]
        print(f"  only stop-and-go achieved {only[0]}, only continuous {only[1]}")


if __name__ == "__main__":
    main()
