#!/usr/bin/env python3
"""Plans shared out among processes: are they one machine's, and what does it cost?

    cargo build --release
    python3 bench/workers.py [--program target/release/foresight] [--episodes 34] [--delay-ms 0 1 10]

Plays the same unseen scenes of `reach` (6 decisions each) without workers, with one and with two, kills one of
two in the middle of the last, and compares every decision's plan and energy bit for bit. With --delay-ms each
worker is behind a relay that passes bytes on so much later, each way.
Prints a line of JSON for each case.
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Relays stay until the end, so every worker has ports of its own.
PORTS = itertools.count(7460)


class Relay(threading.Thread):
    """Passes bytes on between two ports, each way so much later."""

    def __init__(self, port, to, delay_s):
        super().__init__(daemon=True)
        self.port, self.to, self.delay_s = port, to, delay_s
        self.listening = threading.Event()
        self.start()
        self.listening.wait()

    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        server = await asyncio.start_server(self.accept, "127.0.0.1", self.port)
        self.listening.set()
        async with server:
            await server.serve_forever()

    async def accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            # The worker behind it was killed.
            writer.close()
            return
        await asyncio.gather(self.pass_on(reader, far_writer), self.pass_on(far_reader, writer))

    async def pass_on(self, reader, writer):
        queue = asyncio.Queue()

        async def deliver():
            while (due_and_data := await queue.get()) is not None:
                due, data = due_and_data
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                writer.write(data)
                await writer.drain()
            writer.close()

        delivering = asyncio.create_task(deliver())
        try:
            while data := await reader.read(1 << 16):
                queue.put_nowait((time.monotonic() + self.delay_s, data))
        except ConnectionError:
            pass
        queue.put_nowait(None)
        try:
            await delivering
        except ConnectionError:
            pass


class Worker:
    """A `foresight serve`, behind a relay where a delay is asked for."""

    def __init__(self, program, model, delay_ms):
        port = next(PORTS)
        command = [program, "serve", str(model), "--listen", f"tcp/127.0.0.1:{port}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        if delay_ms > 0:
            to, port = port, next(PORTS)
            Relay(port, to, delay_ms / 1000)
        self.endpoint = f"tcp/127.0.0.1:{port}"

    def stop(self):
        self.process.kill()
        self.process.wait()


def decisions(out):
    """Every decision of an evaluation: its plan and energy, and the seconds it took."""
    found = {}
    for file in sorted(out.glob("seed-*/plan.jsonl")):
        for line in file.read_text().splitlines():
            step = json.loads(line)
            plan = step.get("plan")
            found[(file.parent.name, step["step"])] = plan and (plan["actions"], plan["energy"])
    return found


def play(program, scenario, episodes, extra, out):
    command = [program, "eval", str(scenario), "--episodes", str(episodes), "--seed", "930000", "--jobs", "1", "--out", str(out)]
    return subprocess.Popen(command + extra, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/foresight"))
    parser.add_argument("--scenario", default=ROOT / "scenarios/reach.toml")
    parser.add_argument("--model", default=ROOT / "models/tabletop")
    parser.add_argument("--episodes", type=int, default=34)
    parser.add_argument("--delay-ms", type=float, nargs="*", default=[0.0])
    args = parser.parse_args()
    differing = 0
    with tempfile.TemporaryDirectory() as folder:
        folder, reference = Path(folder), None
        cases = [(0, None, False)] + [(n, d, False) for d in args.delay_ms for n in (1, 2)] + [(2, args.delay_ms[0], True)]
        for case, (count, delay_ms, kill) in enumerate(cases):
            workers = [Worker(args.program, args.model, delay_ms) for _ in range(count)]
            extra = ["--workers", ",".join(w.endpoint for w in workers)] if workers else []
            out, began = folder / str(case), time.monotonic()
            running = play(args.program, args.scenario, args.episodes, extra, out)
            if kill:
                while running.poll() is None and len(list(out.glob("seed-*"))) < args.episodes // 2:
                    time.sleep(0.05)
                workers[0].stop()
            words = running.communicate()[1]
            seconds = time.monotonic() - began
            for worker in workers[1 if kill else 0:]:
                worker.stop()
            # Exit code 1: some scenes weren't achieved.
            if running.returncode not in (0, 1):
                sys.exit(words)
            made = decisions(out)
            reference = reference or made
            differ = sum(made.get(k) != v for k, v in reference.items()) + len(made.keys() - reference.keys())
            differing += differ
            summary = json.loads((out / "evaluation.json").read_text())
            print(json.dumps({
                "workers": count, "delay_ms": delay_ms, "one_killed": kill, "decisions": len(made),
                "differing": differ, "successes": summary["successes"],
                "seconds_per_action": summary["seconds_per_action"], "seconds": round(seconds, 1),
            }), flush=True)
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
