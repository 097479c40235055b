"""One CEM plan of stable-worldmodel against ours: the same LeWorldModel, candidates, iterations and horizon.

    python3 -m venv v && v/bin/pip install torch==2.8.0 transformers==5.24.0 einops loguru gymnasium ./bridges/python
    v/bin/pip download --no-deps stable-worldmodel==0.1.1 && unzip stable_worldmodel-0.1.1-*.whl -d wheel
    v/bin/python bench/public/lewm_speed.py wheel --program target/release/foresight

A model of the published size (ViT-tiny on 224 px, six blocks of sixteen heads) with random weights and actions of seven
numbers is saved, converted by `foresight model convert`, and served by `foresight serve`. Plans alternate: its
CEMSolver here, ours in the served process, pictures sent as PNG files and all. An energy of ours counts as agreeing where
stable-worldmodel's own cost of the same actions is within two hundredths of it (bf16 against f32).
"""

import argparse
import contextlib
import importlib.util
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import gymnasium
import numpy as np
import torch
from foresight_bridge import Planner
from transformers import ViTConfig, ViTModel

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
SIDE, WIDTH, ACTIONS = 224, 192, 7
SAMPLES, ITERATIONS, ELITES, HORIZON = 300, 30, 30, 5


def module(wheel, name):
    """A module of the wheel without the imports of its package."""
    full = "stable_worldmodel." + name.replace("/", ".")
    for parent in ["stable_worldmodel", *[full.rsplit(".", n)[0] for n in range(full.count("."), 0, -1)]]:
        if parent not in sys.modules:
            package = types.ModuleType(parent)
            package.__path__ = [str(Path(wheel, *parent.split(".")))]
            sys.modules[parent] = package
    spec = importlib.util.spec_from_file_location(full, f"{wheel}/stable_worldmodel/{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[full] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def build(wheel, folder):
    """The published architecture with random weights, and its checkpoint in `folder`."""
    torch.manual_seed(0)
    parts, lewm = module(wheel, "wm/lewm/module"), module(wheel, "wm/lewm/lewm")
    eyes = {
        "hidden_size": WIDTH, "num_hidden_layers": 12, "num_attention_heads": 3, "intermediate_size": 768,
        "image_size": SIDE, "patch_size": 14,
    }
    predictor = {
        "num_frames": 3, "depth": 6, "heads": 16, "mlp_dim": 2048, "input_dim": WIDTH, "hidden_dim": WIDTH,
        "dim_head": 64,
    }
    norm = torch.nn.BatchNorm1d
    model = lewm.LeWM(
        encoder=ViTModel(ViTConfig(**eyes), add_pooling_layer=False),
        predictor=parts.Predictor(**predictor),
        action_encoder=parts.Embedder(input_dim=ACTIONS, emb_dim=WIDTH),
        projector=parts.MLP(WIDTH, 2048, WIDTH, norm_fn=norm),
        pred_proj=parts.MLP(WIDTH, 2048, WIDTH, norm_fn=norm),
    )
    with torch.no_grad():
        for block in model.predictor.transformer.layers:  # AdaLN-zero would leave actions without effect
            torch.nn.init.normal_(block.adaLN_modulation[-1].weight, std=0.3)
    model.eval()
    torch.save(model.state_dict(), folder / "weights.pt")
    (folder / "config.json").write_text(json.dumps({"encoder": eyes, "predictor": predictor}))
    return model


def tensor(picture):
    return ((torch.from_numpy(picture).float() / 255 - MEAN) / STD).permute(2, 0, 1)[None, None]


def peak_mib(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    folder = Path(tempfile.mkdtemp())
    model = build(args.wheel, folder)
    names = "x,y,z,rx,ry,rz,gripper"
    # The search's bounds, so that every number counts.
    scale = [0.075, 0.075, 0.075, 0.15, 0.15, 0.15, 1.0]
    program = str(args.program)
    converted = [program, "model", "convert", str(folder / "weights.pt"), "--out", str(folder / "model")]
    subprocess.run([*converted, "--actions", names, "--action-scale", ",".join(map(str, scale))], check=True)
    solver = module(args.wheel, "solver/cem").CEMSolver(
        model=model, num_samples=SAMPLES, n_steps=ITERATIONS, topk=ELITES
    )
    box = gymnasium.spaces.Box(-1.0, 1.0, (1, ACTIONS), dtype=np.float32)
    config = types.SimpleNamespace(horizon=HORIZON, action_block=1, receding_horizon=HORIZON, warm_start=False)
    solver.configure(action_space=box, n_envs=1, config=config)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    info = {"pixels": tensor(pictures[0]), "goal": tensor(pictures[1]), "action": torch.zeros(1, 1, ACTIONS)}
    settings = [
        "planner.preset=paper", f"planner.samples={SAMPLES}", f"planner.iterations={ITERATIONS}", f"planner.topk={ELITES}",
        f"planner.horizon={HORIZON}", 'planner.dimensions=["x","y","z","rx","ry","rz","gripper"]',
        "planner.momentum_mean=0.0", "planner.momentum_std=0.0", "planner.mean_is_candidate=true",
        "planner.execute_best=true", "planner.gripper_deadband=0.0",
    ]
    state = [0.4, 0.0, 0.3, np.pi, 0.0, 0.0, 0.5]
    theirs, ours, apart = [], [], []
    with Planner(folder / "model", program=program) as planner:
        for number in range(args.rounds + 1):
            started = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                solver.solve(dict(info))
            between = time.perf_counter()
            plan = planner.plan(pictures[0], pictures[1], state, seed=number, settings=settings)
            ended = time.perf_counter()
            if number:  # the first warms up
                theirs.append(between - started)
                ours.append(ended - between)
            with torch.no_grad():
                actions = torch.tensor(plan.actions / scale, dtype=torch.float32)[None, None]
                expanded = {k: v[:, None] for k, v in info.items()}
                cost = model.get_cost(expanded, actions).item() / WIDTH
            apart.append((plan.energy, cost))
        memory = peak_mib(os.getpid()), peak_mib(planner.pid)
    peer, own = statistics.median(theirs), statistics.median(ours)
    print(f"{SAMPLES} candidates, {ITERATIONS} iterations, horizon {HORIZON}, {planner.info['computes']}")
    print(f"stable-worldmodel {peer:.2f} s, ours {own:.2f} s, ratio {peer / own:.1f} (medians of {args.rounds})")
    print(f"all: {[round(t, 2) for t in theirs]} and {[round(t, 2) for t in ours]}")
    print(f"peak memory {memory[0]:.0f} and {memory[1]:.0f} MiB")
    agree = sum(abs(energy - cost) <= 0.02 * cost for energy, cost in apart)
    print(f"energies agree: {agree} of {len(apart)}", [f"{energy:.4f} {cost:.4f}" for energy, cost in apart])


if __name__ == "__main__":
    main()
