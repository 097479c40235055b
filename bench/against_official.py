"""Official CEM planning against ours: same weights, same noise, same machine, runs alternating.

    python bench/against_official.py --official PATH/TO/vjepa2 --foresight target/release/foresight

needs PyTorch, NumPy, SciPy, tqdm and safetensors, and a clone of the official repository. Random
weights of the official predictor are drawn here and handed to both sides. Before any timing, the
first iteration's energies of both sides are compared; the script stops when they differ by more
than --tolerance in f32.

Times are of whole plans: sampling, rollouts, elites, refit; neither encoding nor loading. Medians
of --rounds alternated runs; ratios are official over ours, larger is better for us. Processor time
is given too: it is what to trust on a machine that is not idle.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SIZES = {
    # predictor_embed_dim, depth, heads, embed_dim, image side
    "full": (1024, 24, 16, 1408, 256),
    "medium": (1024, 4, 16, 1408, 256),
    "tiny": (128, 4, 4, 128, 64),
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--official", required=True, help="clone of facebookresearch/vjepa2")
    parser.add_argument("--foresight", required=True, help="our binary")
    parser.add_argument("--size", choices=SIZES, default="medium")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--iterations", type=int, default=1)
    parser.add_argument("--horizons", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tolerance", type=float, default=2e-4)
    parser.add_argument("--official-modes", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--our-units", nargs=2, metavar=("F32", "BF16"),
                        help="multiply on these instead of the fastest, e.g. avx512 avx512-bf16, to "
                             "go with ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16")
    return parser.parse_args()


def main():
    args = parse()
    sys.path.insert(0, args.official)
    import logging

    logging.disable(logging.INFO)
    import numpy as np
    import torch
    from safetensors.torch import save_file
    from notebooks.utils import mpc_utils
    from src.models.ac_predictor import vit_ac_predictor

    torch.set_num_threads(args.threads)
    width, depth, heads, outer, side = SIZES[args.size]
    torch.manual_seed(0)
    predictor = vit_ac_predictor(
        img_size=(side, side), patch_size=16, num_frames=2 * (max(args.horizons) + 1),
        tubelet_size=2, embed_dim=outer, predictor_embed_dim=width, depth=depth,
        num_heads=heads, use_rope=True, is_frame_causal=True,
    ).eval()
    # Louder than at initialisation, so that energies differ between actions.
    with torch.no_grad():
        for name in ("action_encoder", "state_encoder"):
            getattr(predictor, name).weight.mul_(20)
    tokens = (side // 16) ** 2
    normalise = lambda x: torch.nn.functional.layer_norm(x, (x.size(-1),))
    context = normalise(torch.randn(1, 1, tokens, outer))
    goal = normalise(torch.randn(1, 1, tokens, outer))
    pose = torch.tensor([[[0.5, 0.0, 0.2, 3.1, 0.0, 0.0, 0.0]]])
    architecture = dict(
        img_size=[side, side], patch_size=16, num_frames=64, tubelet_size=2, embed_dim=outer,
        predictor_embed_dim=width, depth=depth, num_heads=heads, use_extrinsics=False,
        mlp_ratio=4.0, rope="tiled",
    )
    print(f"{args.size}: width {width}, depth {depth}, {tokens} tokens; {args.samples} samples x "
          f"{args.iterations} iterations; {args.threads} threads; torch {torch.__version__}, "
          f"oneDNN limit {os.environ.get('ONEDNN_MAX_CPU_ISA', 'none')}, our units "
          f"{args.our_units or 'the fastest'}")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        save_file({k: v.contiguous() for k, v in predictor.state_dict().items()},
                  folder / "predictor.safetensors")
        for horizon in args.horizons:
            compare(args, horizon, predictor, context, goal, pose, architecture, folder,
                    np, torch, save_file, mpc_utils)


def compare(args, horizon, predictor, context, goal, pose, architecture, folder,
            np, torch, save_file, mpc_utils):
    topk = min(10, args.samples)
    noise = torch.randn(args.iterations, horizon, args.samples, 4)
    save_file({"context": context, "goal": goal, "pose": pose, "noise": noise},
              folder / "case.safetensors")
    case = dict(predictor=architecture, samples=args.samples, iterations=args.iterations,
                topk=topk, horizon=horizon, momentum=0.15, max_step_m=0.05)
    (folder / "case.json").write_text(json.dumps(case))

    tokens = context.size(2)
    energies = []

    def step(reps, actions, poses):
        # The released wrapper's step_predictor.
        b, t, n, d = reps.size()
        out = predictor(reps.flatten(1, 2), actions, poses)[:, -tokens:]
        out = torch.nn.functional.layer_norm(out, (out.size(-1),)).view(b, 1, n, d)
        return out, mpc_utils.compute_new_pose(poses[:, -1:], actions[:, -1:])

    def objective(a, b):
        value = torch.mean(torch.abs(a - b), dim=-1)
        energies.append(value.float().numpy().copy())
        return value

    def official(mode):
        energies.clear()
        drawn = iter(noise.flatten(0, 1))
        original, torch.randn = torch.randn, lambda *_, **__: next(drawn).clone()
        cast = (torch.autocast("cpu", dtype=torch.bfloat16) if mode == "bf16"
                else contextlib.nullcontext())
        try:
            with torch.inference_mode(), cast:
                started, cpu = time.perf_counter(), time.process_time()
                action = mpc_utils.cem(
                    context_frame=context, context_pose=pose, goal_frame=goal,
                    world_model=step, rollout=horizon, cem_steps=args.iterations,
                    momentum_mean=0.15, momentum_std=0.15, momentum_mean_gripper=0.15,
                    momentum_std_gripper=0.15, samples=args.samples, topk=topk, maxnorm=0.05,
                    objective=objective,
                )
                seconds = time.perf_counter() - started, time.process_time() - cpu
                return *seconds, energies[0], action[0, 0].float().numpy()
        finally:
            torch.randn = original

    def ours(precision):
        command = [args.foresight, "bench", "replay", str(folder), "--precision", precision]
        if args.our_units:
            command += ["--unit", args.our_units[precision == "bf16"]]
        environment = dict(os.environ, RAYON_NUM_THREADS=str(args.threads))
        done = subprocess.run(command, check=True, capture_output=True, text=True,
                              env=environment)
        result = json.loads(done.stdout)
        if result["precision"] != precision:
            return None
        return (result["seconds"][0], result["cpu_seconds"][0], np.array(result["first_energies"]),
                np.array(result["action"]))

    *_, wanted, official_action = official("f32")
    *_, got, our_action = ours("f32")
    worst = float(np.abs(wanted - got).max())
    print(f"\nhorizon {horizon}: energies differ by at most {worst:.1e} "
          f"(spread {float(wanted.std()):.1e}), first action by "
          f"{float(np.abs(official_action - our_action).max()):.1e}")
    if worst > args.tolerance:
        sys.exit("energies don't agree; times would mean nothing")
    sides = [(f"official {m}", lambda m=m: official(m)) for m in args.official_modes]
    sides += [(f"ours {p}", lambda p=p: ours(p)) for p in ("f32", "bf16") if ours(p)]
    seconds = {name: [] for name, _ in sides}
    for _ in range(args.rounds):
        for name, run in sides:
            seconds[name].append(run()[:2])
    middle = lambda values, i: statistics.median(value[i] for value in values)
    medians = {name: middle(values, 0) for name, values in seconds.items()}
    cpu = {name: middle(values, 1) for name, values in seconds.items()}
    for name, value in medians.items():
        runs = ", ".join(f"{s[0]:.3f}" for s in seconds[name])
        print(f"  {name:<14} median {value:.3f} s   ({runs});   CPU {cpu[name]:.2f} s", flush=True)
    for reference in [n for n in medians if n.startswith("official")]:
        for our in [n for n in medians if n.startswith("ours")]:
            print(f"  {reference} / {our}: {medians[reference] / medians[our]:.2f}x"
                  f"   (CPU {cpu[reference] / max(cpu[our], 1e-9):.2f}x)", flush=True)


if __name__ == "__main__":
    main()
