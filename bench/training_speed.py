"""How much faster does one build train than another, and does it still learn the same?

    python3 bench/training_speed.py OLD_PROGRAM NEW_PROGRAM [--rounds N] [--steps N] [--checkout DIR]

Trains the bundled recipes (`pretrain`, then `train` behind the bundled encoder), at the bundled sizes and
batches, for a few steps, with one program after the other, N times in turn on one machine: whatever
else runs there meets both. Steps a second are taken from the run's log, from its first line to its
last before validation, so start-up and the latent cache don't count; medians and ratios are over the
rounds, the ratio within each round first. Losses are compared line by line: both programs see the same
clips, so they differ by rounding alone, and by what rounding grows to in as many steps. Recipes, scenario and encoder
are those of the checkout (where it runs, or `--checkout`): one that both programs can read. Needs nothing but
Python. Exit code 1 when the new program is slower than `--at-least` times the old one, or a loss
differs by more than `--within`.
"""

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TASKS = {
    "pretrain": ["models/tabletop/pretrain.toml"],
    "train": ["models/tabletop/train.toml", "--encoder", "models/tabletop"],
}


def call(program, checkout, *arguments):
    done = subprocess.run([str(program), *map(str, arguments)], cwd=checkout, capture_output=True,
                          text=True, check=False)
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, arguments))}: {done.stderr[-2000:]}")


def read(log):
    """Seconds at each logged step, and its training losses."""
    seconds, losses = {}, {}
    with open(log, newline="") as lines:
        for row in csv.DictReader(lines):
            if row["split"] == "train":
                seconds[int(row["step"])] = float(row["seconds"])
                losses[int(row["step"]), row["part"]] = float(row["value"])
    return seconds, losses


def train(program, args, task, folder):
    settings = {"total_steps": args.steps, "warmup_steps": 5, "anneal_steps": 10}
    keys = [w for k, v in settings.items() for w in ("--set", f"optimisation.schedule.{k}={v}")]
    call(program, args.checkout, task, *TASKS[task], "--data", args.data / "train", "--validation",
         args.data / "validation", *keys, "--every", 10 * args.steps, "--out", folder)
    seconds, losses = read(folder / "log.csv")
    first, *_, last, _ = sorted(seconds)
    return (last - first) / (seconds[last] - seconds[first]), losses


def difference(old, new):
    """Largest relative difference of a loss, and where."""
    parts = [(abs(old[k] - new[k]) / max(abs(old[k]), 1e-6), k) for k in old]
    return max(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=lambda p: Path(p).resolve())
    parser.add_argument("new", type=lambda p: Path(p).resolve())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="a multiple of 20, at least 80")
    parser.add_argument("--checkout", type=lambda p: Path(p).resolve(), default=Path.cwd())
    parser.add_argument("--data", type=lambda p: Path(p).resolve(),
                        help="recordings in train/ and validation/; made when absent")
    parser.add_argument("--at-least", type=float, default=1.0)
    parser.add_argument("--within", type=float, default=0.02)
    args = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if args.data is None:
            args.data = folder / "data"
            for split, episodes in [("train", 60), ("validation", 8)]:
                call(args.new, args.checkout, "record", "scenarios/pick_and_place.toml", "--split", split,
                     "--episodes", episodes, "--out", args.data / split)
        for task in TASKS:
            rates, worst = [], (0.0, None)
            for number in range(args.rounds):
                (old, before), (new, after) = [
                    train(program, args, task, folder / f"{task}-{number}-{name}")
                    for name, program in [("old", args.old), ("new", args.new)]
                ]
                rates.append((old, new))
                worst = max(worst, difference(before, after), key=lambda w: w[0])
                print(f"{task} round {number + 1}: {old:.2f} and {new:.2f} steps/s, {new / old:.2f} times",
                      flush=True)
            old, new, ratio = (statistics.median(values) for values in
                               zip(*[(o, n, n / o) for o, n in rates]))
            share, (step, part) = worst
            print(f"{task}: medians {old:.2f} and {new:.2f} steps/s, {ratio:.2f} times as fast; losses "
                  f"differ by at most {share:.1e} of themselves ({part} at step {step})", flush=True)
            good &= ratio >= args.at_least and share <= args.within
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
