#!/usr/bin/env python3
"""A minute of `foresight record --follow` at 15 and at 30 pictures a second while another client drives:
no picture and no state may be lost. Then the result is opened.

    target/franka-sim/venv/bin/python bench/record_minute.py target/release/foresight [--seconds 60]
        [--lerobot PYTHON]

Needs franka-node's stock Python client (robot/franka-sim/setup installs it), which drives the served
simulator and counts what is published. With --lerobot, a Python that has the package lerobot loads the
LeRobot dataset, its first and its last picture.
"""

import argparse
import json
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import franka_node
import zenoh

LOAD = """
import sys
from lerobot.datasets.lerobot_dataset import LeRobotDataset
data = LeRobotDataset("local/minute", root=sys.argv[1])
for at in (0, len(data) - 1):
    item = data[at]
    images = [item[k] for k in item if k.startswith("observation.images.")]
    print(at, item["task"], [tuple(i.shape) for i in images], item["observation.state"].shape, item["action"].shape)
print(len(data), "rows,", data.num_episodes, "episodes")
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def drive(endpoint, stop):
    with franka_node.Node(endpoint) as node, node.arm("fr3") as arm:
        with arm.cartesian_targets() as targets:
            sign = 1.0
            while not stop.is_set():
                targets.move_by([0.0, 0.06 * sign, 0.03 * sign])
                targets.wait(timeout=20.0)
                sign = -sign


def count(endpoint, frames, states):
    config = zenoh.Config()
    config.insert_json5("mode", '"client"')
    config.insert_json5("connect/endpoints", json.dumps([endpoint]))
    session = zenoh.open(config)

    def frame(sample):
        header = struct.unpack("<BBHHHIQQQ", sample.payload.to_bytes()[:36])
        frames.append((header[5], header[6]))

    def state(sample):
        states.append(struct.unpack_from("<Q", sample.payload.to_bytes(), 26)[0])

    return session, session.declare_subscriber("franka/cam/front/frame", frame), session.declare_subscriber(
        "franka/fr3/state", state)


def minute(program, rate, form, seconds, folder):
    endpoint = f"tcp/127.0.0.1:{free_port()}"
    root = Path(__file__).resolve().parent.parent
    reach = str(root / "scenarios/reach.toml")
    served = subprocess.Popen([program, "sim", reach, "--listen", endpoint, "--fps", str(rate)],
                              stdout=subprocess.DEVNULL)
    stop = threading.Event()
    try:
        time.sleep(3)
        driver = threading.Thread(target=drive, args=(endpoint, stop))
        driver.start()
        frames, states = [], []
        watching = count(endpoint, frames, states)
        out = Path(folder) / f"{form}_{rate}"
        record = subprocess.Popen(
            [program, "record", reach, "--follow", "--connect", endpoint, "--out", str(out), "--to", form,
             "--episodes", "1", "--json"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while "ready" not in record.stderr.readline():
            pass
        frames.clear(), states.clear()
        record.stdin.write("start\n"), record.stdin.flush()
        time.sleep(seconds)
        record.stdin.write("success\n"), record.stdin.flush()
        time.sleep(0.1)
        seen_frames, seen_states = len(frames), len(states)
        gaps = sum(b[0] - a[0] - 1 for a, b in zip(frames, frames[1:]))
        summary = json.loads(record.communicate()[0].splitlines()[-1])
        stop.set()
        driver.join()
        watching[0].close()
        one = summary["episodes"][0]
        print(f"{rate} Hz, {form}: {one['rows']} rows in {one['seconds']:.1f} s, lost {one['lost_frames'][0]} "
              f"pictures and {one['lost_states']} states (or late); {one['states']} states; a second listener: "
              f"{seen_frames} pictures ({gaps} missing), {seen_states} states")
        subprocess.run([program, "dataset", "validate", str(out)], check=True)
        return out
    finally:
        stop.set()
        served.terminate()
        served.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--lerobot")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for rate, form in [(15, "droid"), (30, "lerobot")]:
            out = minute(args.program, rate, form, args.seconds, folder)
        if args.lerobot:
            subprocess.run([args.lerobot, "-c", LOAD, str(out)], check=True)


if __name__ == "__main__":
    main()
