"""What the monitor notices, and what going back mends.

    python bench/monitor_gates.py --foresight target/release/foresight --out monitor-gates

For each scenario: plays clean episodes to fit on, then fits the monitor and its two baselines (the
same predictor without actions; the distance to the goal alone); plays episodes with one fault each
and clean ones, from other seeds; and counts alarms within two actions of a fault and clean episodes
with an alarm. Holds latent success against the simulator's truth on the same episodes. Then plays
mendable faults and clean scenes with `on_alarm = "retry"`, and times decisions with and without a
monitor in turns. What --out holds already is not played again. Prints Markdown tables, rates with Wilson's 95 % interval. Needs nothing
but Python.
"""

import argparse
import json
import math
import pathlib
import subprocess

ANYWHERE = ["knocked_away", "slip", "removed", "swapped", "second_object", "camera_3deg",
            "camera_10deg", "lens_covered", "light_switched"]
FAULTS = {"pick_and_place": ANYWHERE + ["missed_grasp", "gripper_blocked"],
          "reach_with_object": ANYWHERE}
MENDABLE = ["knocked_away", "slip", "missed_grasp"]
# Faults after which the last picture is not the goal image's, whatever became of the object.
PICTURE = {"swapped", "second_object", "camera_3deg", "camera_10deg", "lens_covered",
           "light_switched"}
MONITORS = {"action": "monitor", "no-action": "without actions",
            "goal-distance": "distance to the goal"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--foresight", required=True, help="the program")
    parser.add_argument("--scenarios", type=pathlib.Path, default=pathlib.Path("scenarios"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--fit", type=int, default=150, help="clean episodes to fit on")
    parser.add_argument("--test", type=int, default=150, help="episodes with faults, and clean")
    parser.add_argument("--retry", type=int, default=60, help="episodes for going back")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of timed evaluations")
    parser.add_argument("--fit-seed", type=int, default=930000)
    parser.add_argument("--fault-seed", type=int, default=3000)
    parser.add_argument("--clean-seed", type=int, default=3200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("options", nargs="*", help="after --, further options of foresight eval")
    return parser.parse_args()


def wilson(times, of):
    if of == 0:
        return "-"
    z, rate = 1.959964, times / of
    middle, half = rate + z * z / (2 * of), z * math.sqrt(rate * (1 - rate) / of + (z / of / 2) ** 2)
    low, high = [(middle + s * half) / (1 + z * z / of) for s in (-1, 1)]
    return f"{times}/{of} ({100 * max(low, 0):.0f}–{100 * min(high, 1):.0f} %)"


def call(args, *words):
    command = [args.foresight, *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def played(args, scenario, name, seed, episodes, *options):
    """The evaluation in --out under this name, played if it isn't there."""
    folder = args.out / f"{scenario}-{name}"
    if not (folder / "evaluation.json").exists():
        call(args, "eval", args.scenarios / f"{scenario}.toml", "--seed", seed, "--episodes",
             episodes, "--jobs", args.jobs, "--out", folder, *options, *args.options)
    return folder


def notices(args):
    counts = {expect: {} for expect in MONITORS}
    for scenario, kinds in FAULTS.items():
        fit = played(args, scenario, "fit", args.fit_seed, args.fit)
        files = []
        for expect in MONITORS:
            files.append(args.out / f"{scenario}-{expect}.json")
            call(args, "monitor", "fit", fit, "--expect", expect, "--out", files[-1])
        faulty = played(args, scenario, "faults", args.fault_seed, args.test, "--faults",
                        ",".join(kinds))
        clean = played(args, scenario, "clean", args.clean_seed, args.test)
        lines = call(args, "monitor", "test", faulty, clean, "--json", "--file", *files)
        print(f"\n`{scenario}`\n")
        print(call(args, "monitor", "test", faulty, clean, "--file", *files))
        for expect, line in zip(MONITORS, lines.splitlines()):
            test = json.loads(line)
            rows = {**test["recall"], "all faults": test["recall_in_all"],
                    "false alarms": test["false_alarms"]}
            for row, counted in rows.items():
                total = counts[expect].setdefault(row, [0, 0])
                total[0] += counted["times"]
                total[1] += counted["of"]
    print("\nBoth scenarios\n\n| | " + " | ".join(MONITORS.values()) + " |\n|---|---|---|---|")
    rows = sorted(counts["action"], key=lambda r: (" " in r, r))
    for row in rows:
        cells = [wilson(*counts[expect][row]) for expect in MONITORS]
        print(f"| {row.replace('_', ' ')} | " + " | ".join(cells) + " |")


def agrees(args):
    """Latent success against the truth, apart for faults that change the picture for good."""
    groups = {"failed": [0, 0], "achieved": [0, 0], "achieved, the picture changed": [0, 0]}
    for scenario in FAULTS:
        goal = args.out / f"{scenario}-goal.json"
        call(args, "monitor", "fit", args.out / f"{scenario}-fit", "--expect", "goal",
             "--false-alarms", 0.02, "--out", goal)
        runs = {group: [] for group in groups}
        for name in ["faults", "clean"]:
            folder = args.out / f"{scenario}-{name}"
            for run in json.loads((folder / "evaluation.json").read_text())["runs"]:
                changed = run.get("fault", [""])[0] in PICTURE
                group = "failed" if not run["success"] else "achieved"
                group += ", the picture changed" if run["success"] and changed else ""
                runs[group].append(folder / f"seed-{run['seed']:06d}")
        for group, folders in runs.items():
            if folders:
                test = json.loads(call(args, "monitor", "test", *folders, "--goal", goal, "--json"))
                said = [a + f for a, f in zip(test["achieved"], test["failed"])]
                groups[group] = [groups[group][0] + said[0], groups[group][1] + said[1]]
    print("\n| latent success says | achieved | failed |\n|---|---|---|")
    for group, (yes, no) in groups.items():
        print(f"| {group} | {yes} | {no} |")
    agree = groups["failed"][1] + groups["achieved"][0]
    print(f"\nagreement where the picture is the goal's: {wilson(agree, sum(groups['failed'] + groups['achieved']))};"
          f" on all: {wilson(agree + groups['achieved, the picture changed'][0], sum(map(sum, groups.values())))}")


def costs(args):
    """Seconds of a decision, with what the monitor takes, over those without one."""
    scenario = args.scenarios / "pick_and_place.toml"
    watched = ["--set", f"monitor.file={json.dumps(str((args.out / 'pick_and_place-action.json').resolve()))}"]
    ratios = []
    for number in range(args.rounds):
        seconds = []
        for options in [watched, []] if number % 2 else [[], watched]:
            played = json.loads(call(args, "eval", scenario, "--seed", args.fit_seed + 1000 + number,
                                     "--episodes", 2, "--jobs", 1, "--json", *options))
            steps = sum(run["steps"] for run in played["runs"])
            taken = sum(run["steps"] * (run["seconds_per_action"] + run.get("watch_seconds_per_action", 0))
                        for run in played["runs"]) / steps
            seconds.append((bool(options), taken))
        ratios.append(dict(seconds)[True] / dict(seconds)[False])
    ratios.sort()
    print(f"\na decision with the monitor takes {ratios[len(ratios) // 2]:.3f} times one without "
          f"(median of {args.rounds} pairs, {ratios[0]:.3f} to {ratios[-1]:.3f})")


def mends(args):
    scenario = "pick_and_place"
    watched = ["--set", f"monitor.file={json.dumps(str((args.out / f'{scenario}-action.json').resolve()))}",
               "--set", 'monitor.on_alarm="retry"']
    print("\n| `pick_and_place`, achieved | as it was | with retry |\n|---|---|---|")
    for name, seed, faults in [(kind, args.fault_seed, ["--faults", kind]) for kind in MENDABLE] + [
            ("clean scenes", args.clean_seed, [])]:
        cells = []
        for how, options in [("plain", []), ("retry", watched)]:
            folder = played(args, scenario, f"{how}-{name.replace(' ', '-')}", seed, args.retry,
                            *faults, *options)
            result = json.loads((folder / "evaluation.json").read_text())
            cells.append(wilson(result["successes"], result["episodes"]))
        print(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    notices(arguments)
    agrees(arguments)
    mends(arguments)
    costs(arguments)
