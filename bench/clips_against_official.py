"""A clip through the official encoder against ours: same weights, same pixels, same machine, runs
alternating.

    python bench/clips_against_official.py --official PATH/TO/vjepa2 --foresight target/release/foresight

needs PyTorch and safetensors, and a clone of the official repository. Random weights of the official
V-JEPA 2 encoder (ViT-L by default, 16 frames of 256 px: 2,048 tokens) are written as the official
training writes its checkpoints, and handed to both sides, each a process of its own. Before any
timing the tokens of both are compared; the script stops when they differ by more than --tolerance
(root mean square over that of the official ones) in f32.

Times are of one clip through the encoder, neither loading nor decoding; one run to warm up isn't
counted. Medians of --rounds alternated processes; ratios are official over ours, larger is better for
us. Peak memory is that of the whole process, loading included: the official side builds the model,
loads the checkpoint into memory and copies it in, as its hub does. Processor time is given too: it is what
to trust on a machine that is not idle.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

SIZES = {
    # constructor, heads
    "large": ("vit_large", 16),
    "base": ("vit_base", 12),
    "giant": ("vit_giant_xformers", 22),
}

OFFICIAL = r"""
import json, resource, sys, time
import torch
path, repository, name, frames, side, threads, precision, out = sys.argv[1:9]
sys.path.insert(0, repository)
import src.models.vision_transformer as vit
from safetensors.torch import load_file, save_file
torch.set_num_threads(int(threads))
torch.manual_seed(0)
started = time.perf_counter()
model = getattr(vit, name)(img_size=(int(side), int(side)), patch_size=16, num_frames=int(frames),
                           tubelet_size=2, use_rope=True, uniform_power=True, use_sdpa=True).eval()
state = torch.load(path + "/model.pt", map_location="cpu")["encoder"]
state = {k.replace("module.", "").replace("backbone.", ""): v for k, v in state.items()}
model.load_state_dict(state, strict=False)
del state
load_s = time.perf_counter() - started
clip = load_file(path + "/clip.safetensors")["clip"]
seconds, cpu = [], []
with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
    for _ in range(2):
        started, spent = time.perf_counter(), time.process_time()
        tokens = model(clip)
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - spent)
save_file({"tokens": tokens[0].float().contiguous()}, out)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(dict(seconds=seconds, cpu_seconds=cpu, peak_mib=peak, load_s=load_s)))
"""


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--official", required=True, help="clone of facebookresearch/vjepa2")
    parser.add_argument("--foresight", required=True, help="our binary")
    parser.add_argument("--size", choices=SIZES, default="large")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--side", type=int, default=256, help="height and width, px")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tolerance", type=float, default=2e-4)
    return parser.parse_args()


def write_case(args, folder):
    """Weights and a clip, in a process that is gone when memory is measured."""
    script = f"""
import sys, torch
sys.path.insert(0, {args.official!r})
import src.models.vision_transformer as vit
from safetensors.torch import save_file
torch.manual_seed(0)
model = vit.{SIZES[args.size][0]}(img_size=({args.side}, {args.side}), patch_size=16,
    num_frames={args.frames}, tubelet_size=2, use_rope=True, uniform_power=True, use_sdpa=True)
state = {{"module.backbone." + k: v for k, v in model.state_dict().items() if k != "pos_embed"}}
torch.save({{"encoder": state, "epoch": 0}}, {str(folder / "model.pt")!r})
save_file({{"clip": torch.randn(1, 3, {args.frames}, {args.side}, {args.side})}},
          {str(folder / "clip.safetensors")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    subprocess.run(
        [args.foresight, "model", "convert", str(folder / "model.pt"), "--out", str(folder / "model"),
         "--encoder-heads", str(SIZES[args.size][1]), "--img-size", str(args.side)],
        check=True, capture_output=True, text=True,
    )


def main():
    args = parse()
    from safetensors.numpy import load_file

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_case(args, folder)

        def official(precision):
            out = folder / "official.safetensors"
            done = subprocess.run(
                [sys.executable, "-c", OFFICIAL, str(folder), args.official, SIZES[args.size][0],
                 str(args.frames), str(args.side), str(args.threads), precision, str(out)],
                check=True, capture_output=True, text=True)
            return json.loads(done.stdout.splitlines()[-1]), load_file(out)["tokens"]

        def ours(precision):
            out = folder / "ours.safetensors"
            done = subprocess.run(
                [args.foresight, "bench", "encode", "--model", str(folder / "model"), "--clip",
                 str(folder / "clip.safetensors"), "--precision", precision, "--rounds", "2",
                 "--out", str(out)],
                check=True, capture_output=True, text=True,
                env=dict(os.environ, RAYON_NUM_THREADS=str(args.threads)))
            return json.loads(done.stdout), load_file(out)["tokens"]

        sides = {"official f32": (official, "f32"), "official bf16": (official, "bf16"),
                 "ours f32": (ours, "f32"), "ours bf16": (ours, "bf16")}
        results = {name: [] for name in sides}
        wanted = None
        for round in range(args.rounds):
            for name, (run, precision) in sides.items():
                result, tokens = run(precision)
                if name == "ours bf16" and not result["computes"].startswith("bf16"):
                    continue
                results[name].append(result)
                if wanted is None:
                    wanted = tokens
                error = float(((tokens - wanted) ** 2).mean() ** 0.5 / (wanted**2).mean() ** 0.5)
                if round == 0:
                    print(f"{name}: tokens {tokens.shape}, off by {error:.1e}"
                          + (f", {result['computes']}" if "computes" in result else ""), flush=True)
                if name == "ours f32" and error > args.tolerance:
                    sys.exit("tokens don't agree; times would mean nothing")
        print(f"{args.size}, {args.frames} frames of {args.side} px, {len(wanted)} tokens, "
              f"{args.threads} threads")
        medians = {}
        for name, runs in results.items():
            if not runs:
                continue
            # The first of each process warms up.
            of = lambda key: statistics.median(run[key][-1] for run in runs)
            medians[name] = (of("seconds"), of("cpu_seconds"),
                             statistics.median(run["peak_mib"] for run in runs))
            each = ", ".join(f"{run['seconds'][-1]:.2f}" for run in runs)
            print("  {:<14} {:.2f} s ({}); CPU {:.2f} s; peak {:.0f} MiB".format(
                name, medians[name][0], each, *medians[name][1:]), flush=True)
        for reference in [n for n in medians if n.startswith("official")]:
            for our in [n for n in medians if n.startswith("ours")]:
                wall, cpu, peak = (a / b for a, b in zip(medians[reference], medians[our]))
                print(f"  {reference} / {our}: {wall:.2f}x (CPU {cpu:.2f}x), peak memory {1 / peak:.2f} of it")


if __name__ == "__main__":
    main()
