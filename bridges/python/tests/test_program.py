"""The built program drives the bridge: doctor, run, eval, record. $FORESIGHT names the program."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
from fake import FakeArm
from test_bridge import Served, served

from foresight_bridge import Planner, PlanRefused
from foresight_bridge.__main__ import save_goals
from foresight_bridge.episodes import Truth, write_episode

PROGRAM = os.environ.get("FORESIGHT")
MODEL = Path(__file__).resolve().parents[3] / "models/tabletop"
SCENARIO = """
name = "bridge_reach"
description = "Reach a place."
[model]
dir = "{model}"
[robot]
kind = "franka"
[robot.franka.link]
connect = ["{endpoint}"]
[safety.workspace]
min_m = [0.35, -0.22, 0.0]
max_m = [0.65, 0.22, 0.35]
[planner]
preset = "fast"
[[subgoal]]
name = "reach"
steps = 4
image = "reach.png"
gripper = "hold"
"""


def run(*words: object, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), *(str(word) for word in words)]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=300)


@unittest.skipUnless(PROGRAM, "$FORESIGHT doesn't name the built program")
class Program(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        save_goals(FakeArm(), self.folder)

    def scenario(self, bridge: Served) -> Path:
        file = self.folder / "scenario.toml"
        file.write_text(SCENARIO.format(model=MODEL, endpoint=bridge.endpoint))
        return file

    def evaluate(self, bridge: Served, *words: object) -> dict[str, object]:
        done = run("eval", self.scenario(bridge), "--json", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_doctor_passes_and_a_run_is_judged_by_the_environment(self) -> None:
        for lock_step in (False, True):
            with self.subTest(lock_step=lock_step), served(lock_step=lock_step) as bridge:
                scenario = self.scenario(bridge)
                checked = run("doctor", "--scenario", scenario, "--json")
                failed = [c for c in json.loads(checked.stdout) if c["grade"] == "fail"]
                self.assertEqual(failed, [])
                done = run("run", scenario, "--json", "--out", self.folder / "runs")
                result = json.loads(done.stdout)
                self.assertEqual((result["steps"], result["refused_targets"]), (4, 0), done.stderr)
                self.assertEqual(result["success"], bridge.environment.verdict().success)
                self.assertIn("cm from its goal", result["reason"])

    def test_eval_resets_scenes_by_seed_and_counts_what_the_environment_says(self) -> None:
        with served() as bridge:
            told = self.evaluate(bridge, "--episodes", 3, "--seed", 3000, "--world", "oracle")
            self.assertEqual((told["successes"], told["refused_targets"]), (3, 0), told["runs"])
            idle = self.evaluate(
                bridge, "--episodes", 2, "--seed", 3000, "--planner", "stand_still", "--out", self.folder / "idle"
            )
            self.assertEqual((idle["successes"], idle["failures"]), (0, {"not_achieved": 2}))
            self.assertTrue((self.folder / "idle/index.html").exists())
            # Scene 13 begins solved: it counts as none, and is no success.
            solved = run("eval", self.scenario(bridge), "--episodes", 1, "--seed", 13, "--world", "oracle")
            self.assertNotEqual(solved.returncode, 0)
            self.assertIn("starts with the task achieved", solved.stderr)
            varied = run("eval", self.scenario(bridge), "--episodes", 1, "--variation", "cups", "--world", "oracle")
            self.assertIn("drawn by another", varied.stderr)

    def test_what_it_does_can_be_recorded(self) -> None:
        with served() as bridge:
            words = ("--follow", "--episodes", 1, "--seconds", 2, "--to", "droid", "--out", self.folder / "data")
            done = run("record", self.scenario(bridge), *words, said="start\n")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(run("dataset", "validate", self.folder / "data").returncode, 0)

    def test_recorded_poses_are_followed(self) -> None:
        with served() as bridge:
            x, y, z = bridge.environment.arm().o_t_ee[:3, 3]
            rows = [[x + 0.02 * i, y, z + 0.01 * i, np.pi, 0.0, 0.0, 0.0, 0.5 * i] for i in range(4)]
            csv = self.folder / "poses.csv"
            csv.write_text("\n".join(",".join(f"{v:.6f}" for v in row) for row in rows) + "\n")
            words = ("--robot", "--scenario", self.scenario(bridge), "--json", "--out", self.folder / "replays")
            done = run("replay", csv, *words)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            np.testing.assert_allclose(bridge.environment.arm().o_t_ee[:3, 3], rows[-1][:3], atol=5e-3)

    def test_what_a_loop_saw_is_measured_by_its_truth(self) -> None:
        arm = FakeArm()
        picture, state = arm.render(), arm.arm()

        def write(folder: str, scene: int, branch: tuple[int, int] | None) -> None:
            """The object moves by as many times 9 mm a step as the branch's number says."""
            by_m = 0.009 * (branch[1] if branch else 1)
            places = [np.array([0.5 + by_m * step, 0.0, 0.02]) for step in range(3)]
            name = f"scene_{scene}_{branch}"
            truth = Truth(scene, places, [False] * 3, branch)
            write_episode(
                self.folder / folder, name, [state] * 3, [picture] * 3, camera=arm.camera, max_width_m=0.08,
                task="stand", success=None, truth=truth,
            )

        for scene in range(4):
            write("train", 1_000_000_000 + scene, None)
        for index in range(5):
            write("validation", 2_000_000_000, (0, index))
        self.assertEqual(run("dataset", "validate", self.folder / "train").returncode, 0)
        words = ("--data", self.folder / "train", "--validation", self.folder / "validation", "--gauge-steps", 5)
        done = run("model", "foresees", MODEL, *words, "--steps", 2, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        objects = json.loads(done.stdout)["object"]
        self.assertEqual([(r["steps_ahead"], r["states"], r["goals"]) for r in objects["rankings"]], [(1, 1, 5), (2, 1, 5)])
        pushed = {d["steps_ahead"]: d["count"] for d in objects["displacements"] if d["kind"] == "push"}
        self.assertEqual(pushed[1], 2 * 3)  # both steps of the branches that move it by more than a centimetre
        with self.assertRaisesRegex(ValueError, "for evaluation"):
            write("kept_out", 3000, None)

    def test_plans_for_python(self) -> None:
        environment = FakeArm()
        [goal] = environment.goals()
        state = [0.5, 0.0, 0.2, np.pi, 0.0, 0.0, 0.0]
        with Planner(MODEL, program=PROGRAM) as planner:
            plan = planner.plan(environment.render(), goal.image, state, seed=7, settings=["planner.preset=fast"])
            self.assertEqual(plan.actions.shape[1], 7)
            self.assertGreater(plan.evaluations, 0)
            again = planner.plan(environment.render(), goal.image, state, seed=7, settings=["planner.preset=fast"])
            np.testing.assert_array_equal(plan.actions, again.actions)
            with self.assertRaises(PlanRefused):
                planner.plan(b"no picture", goal.image, state)
            with self.assertRaises(PlanRefused):
                planner.plan(environment.render(), goal.image, state[:3])
        with self.assertRaisesRegex(PlanRefused, "nowhere"):
            Planner("nowhere", program=PROGRAM)


if __name__ == "__main__":
    unittest.main()
