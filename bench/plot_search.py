"""Pictures of `foresight bench search`: energy reached against predictor evaluations and seconds.

    python bench/plot_search.py study.jsonl docs/images/planning

writes <prefix>-evaluations.png and <prefix>-seconds.png, and prints a table.
Energies are given as what is left above the lowest energy that any planner reached in that scene.
Needs matplotlib.
"""

import collections
import json
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def main(path, prefix):
    rows = [json.loads(line) for line in open(path)]
    lowest = collections.defaultdict(lambda: float("inf"))
    for row in rows:
        for energy in row["energy"] + [row["final_energy"]]:
            lowest[row["scene"]] = min(lowest[row["scene"]], energy)

    def scaled(row, energy):
        return energy - lowest[row["scene"]]

    planners = list(dict.fromkeys(row["planner"] for row in rows))
    scenes = len({row["scene"] for row in rows})
    repeats = len({row["repeat"] for row in rows})
    print(f"{scenes} scenes x {repeats} seeds")
    first = [scaled(row, row["still"]) for row in rows]
    print(f"energy left by standing still: median {statistics.median(first):.4f}")
    print("| planner | cost (evaluations) | seconds, median | energy left, median | 90 % |")
    print("|---|---|---|---|---|")
    for planner in planners:
        own = [row for row in rows if row["planner"] == planner]
        ends = [scaled(row, row["final_energy"]) for row in own]
        print(
            f"| {planner} | {statistics.median(r['final_cost'] for r in own):.0f}"
            f" | {statistics.median(r['seconds'] for r in own):.3f}"
            f" | {statistics.median(ends):.5f} | {quantile(ends, 0.9):.5f} |"
        )
    for axis, label in [
        ("cost", "predictor evaluations (a preview counts its share, a gradient 3)"),
        ("rolling_seconds", "seconds in the predictor"),
    ]:
        figure, plot = plt.subplots(figsize=(7, 4.5), dpi=110)
        for planner in planners:
            own = [row for row in rows if row["planner"] == planner]
            steps = min(len(row["energy"]) for row in own)
            x = [statistics.median(row[axis][i] for row in own) for i in range(steps)]
            ends = [[scaled(row, row["energy"][i]) for row in own] for i in range(steps)]
            y = [statistics.median(e) for e in ends]
            (line,) = plot.plot(x, y, marker="o", markersize=3, label=planner)
            plot.fill_between(
                x,
                [quantile(e, 0.25) for e in ends],
                [quantile(e, 0.75) for e in ends],
                color=line.get_color(),
                alpha=0.15,
            )
        plot.set_xscale("log")
        plot.set_yscale("log")
        plot.set_xlabel(label)
        plot.set_ylabel("energy above the best known")
        plot.grid(alpha=0.3, which="both")
        plot.legend(fontsize=8)
        name = f"{prefix}-{'evaluations' if axis == 'cost' else 'seconds'}.png"
        figure.tight_layout()
        figure.savefig(name)
        print(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
