#!/usr/bin/env python3
"""Clips a second of `foresight bench clips` against decord, as the official V-JEPA 2-AC loader reads
DROID, and against LeRobot's own loader, on the same films, alternated.

    python bench/loaders.py target/release/foresight [--rounds 3] [--clips 48] [--only droid|lerobot]

Needs numpy, h5py and the program ffmpeg; decord for DROID, lerobot (0.4) for LeRobot. Two threads read in
each: decord in a pool of two threads, each with a reader of one thread; LeRobot in a DataLoader of two
processes. A clip is 8 frames, every fourth of films at 15 a second. Films are made here: a camera that
pans over a textured table with an arm-sized thing that moves.
"""

import argparse
import json
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

FRAMES, STRIDE, RATE = 8, 4, 15
EPISODES, LENGTH = 10, 180


def pictures(rng, width, height):
    table = rng.integers(40, 200, (height // 8 + 40, width // 8 + 40, 3), dtype=np.uint8)
    table = np.kron(table, np.ones((8, 8, 1), dtype=np.uint8))
    grain = rng.integers(0, 12, (height, width, 3), dtype=np.uint8)
    for t in range(LENGTH):
        y, x = int(20 + 10 * np.sin(t / 20)), int(20 + 15 * np.sin(t / 30))
        frame = table[y : y + height, x : x + width].copy() + np.roll(grain, 7 * t, 1)
        u, v = int(width * (0.5 + 0.3 * np.sin(t / 15))), int(height * (0.5 + 0.2 * np.cos(t / 12)))
        frame[max(0, v - height // 5) : v, max(0, u - width // 12) : u + width // 12] = (230, 230, 225)
        yield frame


def droid(root, width, height):
    rng = np.random.default_rng(1)
    for episode in range(EPISODES):
        below = f"success/2026-01-01/Thu_Jan__1_10:{episode:02}:00_2026"
        folder = root / "LAB" / below
        (folder / "recordings/MP4").mkdir(parents=True)
        film = folder / "recordings/MP4/11111111.mp4"
        # As OpenCV wrote DROID's: MPEG-4 Part 2, 60 a second by the header.
        encode = subprocess.Popen(
            ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}",
             "-r", "60", "-i", "-", "-c:v", "mpeg4", "-q:v", "4", "-g", "12", str(film)],
            stdin=subprocess.PIPE)
        for frame in pictures(rng, width, height):
            encode.stdin.write(frame.tobytes())
        encode.stdin.close()
        assert encode.wait() == 0
        t = np.arange(LENGTH)
        with h5py.File(folder / "trajectory.h5", "w") as file:
            state = file.create_group("observation/robot_state")
            pose = np.zeros((LENGTH, 6))
            pose[:, 0], pose[:, 1], pose[:, 2], pose[:, 3] = 0.45 + 0.1 * np.sin(t / 15), 0.1 * np.cos(t / 12), 0.3, 3.1
            state["cartesian_position"] = pose
            state["gripper_position"] = np.zeros(LENGTH)
            file["observation/timestamp/robot_state/read_end"] = (t * 1000 // RATE).astype(np.int64)
        meta = {"uuid": f"LAB+1+{episode}", "lab": "LAB", "success": True, "current_task": "pan",
                "trajectory_length": LENGTH, "ext1_cam_serial": "11111111",
                "left_mp4_path": f"{below}/recordings/MP4/11111111.mp4"}
        (folder / f"metadata_{meta['uuid']}.json").write_text(json.dumps(meta))


def ours(program, data, clips):
    settings = [f"data.frames={FRAMES}", f"data.fps={RATE / STRIDE}", "data.workers=2"]
    command = [program, "bench", "clips", str(data), "--clips", str(clips), "--json"]
    for setting in settings:
        command += ["--set", setting]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["clips_per_s"]


def with_decord(root, clips):
    from decord import VideoReader, cpu

    folders = sorted(p.parent for p in root.rglob("trajectory.h5"))

    def clip(number):
        rng = np.random.default_rng(number)
        folder = folders[rng.integers(len(folders))]
        reader = VideoReader(str(folder / "recordings/MP4/11111111.mp4"), num_threads=1, ctx=cpu(0))
        start = rng.integers(len(reader) - STRIDE * (FRAMES - 1))
        frames = reader.get_batch(start + STRIDE * np.arange(FRAMES)).asnumpy()
        with h5py.File(folder / "trajectory.h5") as file:
            file["observation/robot_state/cartesian_position"][:]
        return frames.shape

    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        assert len(list(pool.map(clip, range(clips)))) == clips
    return clips / (time.perf_counter() - began)


def with_lerobot(root, clips):
    import torch
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    camera = "observation.images.exterior_1_left"
    dataset = LeRobotDataset("local/films", root=root,
                             delta_timestamps={camera: [STRIDE * k / RATE for k in range(FRAMES)]})
    order = np.random.default_rng(0).permutation(len(dataset))
    inside = [int(i) for i in order if i % LENGTH < LENGTH - STRIDE * FRAMES][:clips]
    # Two processes that are there already, as in a long run.
    loader = torch.utils.data.DataLoader(torch.utils.data.Subset(dataset, inside), batch_size=1,
                                         num_workers=2, persistent_workers=True)
    next(iter(loader))
    began = time.perf_counter()
    assert sum(item[camera].shape[1] == FRAMES for item in loader) == clips
    return clips / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--only", choices=["droid", "lerobot"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw, small = Path(folder) / "droid", Path(folder) / "lerobot"
        droid(raw, 1280, 720)
        pairs = []
        if args.only != "lerobot":
            pairs.append(("DROID, 1280x720 mp4v: decord", raw, with_decord))
        if args.only != "droid":
            subprocess.run([args.program, "dataset", "convert", str(raw), str(small), "--to", "lerobot",
                            "--size", "320x180"], check=True, capture_output=True)
            pairs.append(("LeRobot, 320x180 H.264: its loader", small, with_lerobot))
        for name, data, other in pairs:
            rates = [(ours(args.program, data, args.clips), other(data, args.clips)) for _ in range(args.rounds)]
            mine, theirs = (sorted(column)[args.rounds // 2] for column in zip(*rates))
            print(f"{name} {theirs:.1f} clips/s, ours {mine:.1f}: {mine / theirs:.2f} times; "
                  f"rounds {[tuple(round(v, 1) for v in pair) for pair in rates]}")


if __name__ == "__main__":
    main()
