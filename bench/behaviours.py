"""Which behaviour is it: reach, grasp, push or carry? An attentive probe on a model's encoder, beside
one on the same encoder with random weights and beside the commonest class.

    python bench/behaviours.py --foresight target/release/foresight --out runs/behaviours

records clips in the simulator, a quarter of each behaviour: those that probes are fitted on in scenes of
the training split, those they are judged on in scenes of the validation split, which nothing is ever
trained on. Needs Python alone. What is there already is kept: run again, it goes on where it stopped.
"""

import argparse
import csv
import json
import pathlib
import re
import subprocess

BEHAVIOURS = ["reach", "grasp", "push", "carry"]
HERE = pathlib.Path(__file__).resolve().parent.parent


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--foresight", required=True, help="our binary")
    parser.add_argument("--model", default=str(HERE / "models/tabletop"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--fitted", type=int, default=800, help="clips recorded to fit on")
    parser.add_argument("--judged", type=int, default=400, help="clips recorded to judge on")
    parser.add_argument("--more", type=pathlib.Path,
                        help="recordings of the training split to fit on too, data/train for example")
    parser.add_argument("--most", type=int, default=450, help="clips of a behaviour taken of --more")
    parser.add_argument("--apart", action="store_true",
                        help="frames by themselves, for an encoder trained on single frames")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the probes")
    return parser.parse_args()


def scenario(args):
    """The recordings' scenario of the bundled model, with these behaviours alone."""
    text = (HERE / "models/tabletop/recordings.toml").read_text()
    shares = [f"{name} = {1 / len(BEHAVIOURS)}" for name in BEHAVIOURS]
    shares += [f"{name} = 0.0" for name in ("pick_and_place", "fumble", "random")]
    text = re.sub(r"\[demonstrations\].*?\n\n", "[demonstrations]\n" + "\n".join(shares) + "\n\n", text,
                  flags=re.S)
    text = text.replace('dir = "."', f'dir = "{HERE / "models/tabletop"}"')
    path = args.out / "behaviours.toml"
    path.write_text(text)
    return path


def recorded(args, split, episodes, seed):
    """A table of the clips of one split, recorded if they aren't there."""
    root = args.out / split
    subprocess.run([args.foresight, "record", str(scenario(args)), "--split", split, "--seed", str(seed),
                    "--episodes", str(episodes), "--out", str(root), "--json"],
                   check=True, stdout=subprocess.DEVNULL)
    table = args.out / f"{split}.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "class", "group"])
        for metadata in sorted(root.rglob("metadata_*.json")):
            told = json.loads(metadata.read_text())
            behaviour = told["foresight"]["behaviour"]
            if behaviour in BEHAVIOURS:
                rows.writerow([metadata.parent.relative_to(args.out), behaviour, told["scene_id"]])
        if split == "train" and args.more:
            taken = dict.fromkeys(BEHAVIOURS, 0)
            for metadata in sorted(args.more.resolve().rglob("metadata_*.json")):
                told = json.loads(metadata.read_text())
                behaviour = told["foresight"]["behaviour"]
                if taken.get(behaviour, args.most) < args.most:
                    taken[behaviour] += 1
                    rows.writerow([metadata.parent, behaviour, told["scene_id"]])
    return table


def random_model(args):
    """The model's encoder with random weights."""
    folder = args.out / "random"
    if not (folder / "model.safetensors").exists():
        subprocess.run([args.foresight, "model", "init", "--config", str(pathlib.Path(args.model) / "config.json"),
                        "--out", str(folder), "--seed", str(args.seed)], check=True, stdout=subprocess.DEVNULL)
    return folder


def main():
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    fitted = recorded(args, "train", args.fitted, 1_900_000)
    judged = recorded(args, "validation", args.judged, 900_000)
    for name, model in [("the model's encoder", args.model), ("random weights", random_model(args))]:
        out = args.out / ("probe_random" if name == "random weights" else "probe")
        out = out.with_name(out.name + ("_apart" if args.apart else ""))
        done = subprocess.run([args.foresight, "classify", "fit", str(fitted), "--held-out", str(judged),
                               "--model", str(model), "--out", str(out), "--seed", str(args.seed), "--json",
                               *(["--apart"] if args.apart else [])],
                              check=True, capture_output=True, text=True)
        said = json.loads(done.stdout)
        show = lambda share: "{:.1f} % [{:.1f}, {:.1f}]".format(
            100 * share["value"], *(100 * v for v in share["ci95"]))
        print(f"{name}: {said['accuracy']['right']} of {said['accuracy']['count']} named rightly, "
              f"{show(said['accuracy'])}; the commonest class: {show(said['majority'])}")
        print("  named as       " + "".join(f"{c:>8}" for c in said["result"]["classes"]))
        for truth, row in zip(said["result"]["classes"], said["result"]["confusion"]):
            print(f"  truly {truth:<8} " + "".join(f"{count:>8}" for count in row))


if __name__ == "__main__":
    main()
