"""Do two builds of the program do the same? Bit for bit, on one machine.

    python3 bench/same_runs.py BASE_PROGRAM NEW_PROGRAM [--checkout DIR] [--out DIR]

Both play the same scenarios in virtual time (plan, frames, imagined pictures, trajectory and
verdict are compared), evaluate the oracle and true dynamics, plan on two images, and fine-tune for
20 steps on episodes that the first one records (losses and weights). Times, dates and paths are
left out; a key that only the new program writes is named, not counted. Exit code 1 when anything
else differs.

Meant for changes of structure, which may change no number. Needs nothing but Python.
"""

import argparse
import csv
import filecmp
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SCENARIOS = ["reach", "pick_and_place", "push"]
SEEDS = [1, 2, 3]
# What differs from one run to the next by nature.
VOLATILE = {"time", "run_dir"}
STATE = "0.5456789991528713,-0.06781999968943447,0.14615300214411958,3.1415926535229763,0,0,0"


class Player:
    """One program, playing everything into its own folder."""

    def __init__(self, program, checkout, out):
        self.program, self.checkout, self.out = Path(program).resolve(), checkout, out
        out.mkdir(parents=True)

    def call(self, *arguments, keep=None, codes=(0,)):
        done = subprocess.run(
            [str(self.program), *map(str, arguments)],
            cwd=self.checkout, capture_output=True, text=True, check=False,
        )
        if done.returncode not in codes:
            sys.exit(f"{self.program} {' '.join(map(str, arguments))}: {done.stderr[-2000:]}")
        if keep:
            (self.out / keep).write_text(done.stdout)

    def play(self, scenario, seed):
        self.call("run", f"scenarios/{scenario}.toml", "--virtual-time", "--seed", seed,
                  "--out", self.out / f"{scenario}-{seed}", codes=(0, 1))

    def decide(self, context, goal):
        for preset in ["fast", "notebook"]:
            self.call("plan", "--model", "models/tabletop", "--context", context, "--goal", goal,
                      "--state", STATE, "--preset", preset, "--json", keep=f"plan-{preset}.json")

    def evaluate(self):
        self.call("eval", "scenarios/pick_and_place.toml", "--episodes", 4, "--seed", 3000,
                  "--world", "oracle", "--json", keep="oracle.json", codes=(0, 1))
        self.call("eval", "scenarios/push.toml", "--episodes", 1, "--seed", 3000, "--world", "dynamics",
                  "--samples", 8, "--iterations", 1, "--json", keep="dynamics.json", codes=(0, 1))

    def record(self, data):
        for split, episodes in [("train", 60), ("validation", 12)]:
            self.call("record", "scenarios/pick_and_place.toml", "--split", split,
                      "--episodes", episodes, "--out", data / split)

    def finetune(self, data):
        self.call("finetune", "--model", "models/tabletop", "--data", data / "train",
                  "--validation", data / "validation", "--steps", 20, "--batch-size", 4,
                  "--set", "data.frames=3", "--set", "run.log_every=1",
                  "--set", "run.validate_every=10", "--set", "run.validation_clips=6",
                  "--out", self.out / "finetune")


class Comparison:
    """What differs, and where."""

    def __init__(self):
        self.differences, self.new_keys = [], set()

    def values(self, a, b, where):
        if isinstance(a, dict) and isinstance(b, dict):
            for key in a:
                if key in VOLATILE or "second" in key:
                    continue
                if key in b:
                    self.values(a[key], b[key], f"{where}.{key}")
                else:
                    self.differences.append(f"{where}: {key} is gone")
            self.new_keys.update(f"{where.split('[')[0]}: {key}" for key in b if key not in a)
        elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            for i, (x, y) in enumerate(zip(a, b)):
                self.values(x, y, f"{where}[{i}]")
        elif a != b:
            self.differences.append(f"{where}: {str(a)[:80]} became {str(b)[:80]}")

    def json(self, a, b, where):
        self.values(json.loads(a.read_text()), json.loads(b.read_text()), where)

    def bytes(self, a, b, where):
        if not b.exists() or not filecmp.cmp(a, b, shallow=False):
            self.differences.append(f"{where}: {a.name} differs")

    def run(self, a, b, where):
        [a], [b] = list(a.iterdir()), list(b.iterdir())
        steps = [[json.loads(line) for line in (run / "plan.jsonl").open()] for run in (a, b)]
        self.values(*steps, f"{where}/plan")
        for folder in ["frames", "goals", "imagined", "views"]:
            for picture in sorted((a / folder).iterdir()):
                self.bytes(picture, b / folder / picture.name, f"{where}/{folder}")
        for file in ["trajectory.csv", "scene.json"]:
            self.bytes(a / file, b / file, where)
        self.json(a / "result.json", b / "result.json", f"{where}/result")
        return len(steps[0])

    def losses(self, a, b):
        rows = [list(csv.DictReader((run / "log.csv").open())) for run in (a, b)]
        kept = ["step", "learning_rate", "gradient_norm", "split", "part", "value"]
        self.values(*([{k: row[k] for k in kept} for row in run] for run in rows), "finetune/log")
        self.bytes(a / "model" / "model.safetensors", b / "model" / "model.safetensors", "finetune")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("new")
    parser.add_argument("--checkout", type=Path, default=Path(__file__).parent.parent)
    parser.add_argument("--out", type=Path, help="a new folder; a temporary one when absent")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = (arguments.out or Path(temporary) / "runs").resolve()
        base = Player(arguments.base, arguments.checkout, out / "base")
        new = Player(arguments.new, arguments.checkout, out / "new")
        compared = Comparison()

        def report(what):
            print(f"{what}: {len(compared.differences)} differences so far", flush=True)

        for scenario in SCENARIOS:
            for seed in SEEDS:
                base.play(scenario, seed)
                new.play(scenario, seed)
                name = f"{scenario}-{seed}"
                steps = compared.run(base.out / name, new.out / name, name)
                report(f"{name}, {steps} steps")
        [seen] = (base.out / "reach-1").iterdir()
        base.record(out / "data")
        for player in (base, new):
            player.decide(seen / "frames" / "0000.png", seen / "goals" / "0-reach.png")
            player.evaluate()
            player.finetune(out / "data")
        for file in ["plan-fast", "plan-notebook", "oracle", "dynamics"]:
            compared.json(base.out / f"{file}.json", new.out / f"{file}.json", file)
        report("decisions and evaluations")
        compared.losses(base.out / "finetune", new.out / "finetune")
        report("fine-tuning")
    for key in sorted(compared.new_keys):
        print(f"only the new program writes {key}")
    for difference in compared.differences[:40]:
        print(difference)
    print("the same" if not compared.differences else f"{len(compared.differences)} differences")
    sys.exit(bool(compared.differences))


if __name__ == "__main__":
    main()
