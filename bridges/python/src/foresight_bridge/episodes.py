"""Episodes as Foresight trains on them: DROID's raw layout, pictures lossless. Needs h5py."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .environment import ArmState, Camera, Image
from .geometry import Array, euler_of_rotation

STEP_S = 0.25
"""What a step counts as: the time between two states of a 4 Hz model."""

TRAIN_SEED, VALIDATION_SEED = 1_000_000_000, 2_000_000_000
"""The first seeds of Foresight's scenes for training and for validation; below, scenes are kept for evaluation."""


@dataclass(frozen=True)
class Truth:
    """What only a simulator knows. Nothing is trained on it; `foresight model foresees` measures by it."""

    scene: int
    """The scene's seed, `TRAIN_SEED` or more, for validation `VALIDATION_SEED` or more: what is measured in one scene
    isn't independent."""
    object_m: Sequence[Array]
    """Where the object is at each state, `[T, 3]`, m, base frame."""
    held: Sequence[bool]
    """Whether it is between the fingers, `T`."""
    branch: tuple[int, int] | None = None
    """Where the episode begins in a state of the scene's others: which state that is, and which of its branches this
    is. Actions from one and the same state are ranked."""


def write_episode(
    root: Path,
    name: str,
    states: Sequence[ArmState],
    frames: Sequence[Image],
    *,
    camera: Camera,
    max_width_m: float,
    task: str,
    success: bool | None,
    lab: str = "BRIDGE",
    date: str = "2000-01-01",
    truth: Truth | None = None,
) -> Path:
    """Writes one episode of as many frames as states; the folder. An episode that is there already is left alone."""
    if len(states) != len(frames) or not states:
        raise ValueError(f"{len(states)} states, {len(frames)} frames")
    if truth is not None and not len(truth.object_m) == len(truth.held) == len(states):
        raise ValueError(f"{len(states)} states, {len(truth.object_m)} places of the object, {len(truth.held)} of held")
    if truth is not None and truth.scene < TRAIN_SEED:
        raise ValueError(f"the scene of seed {truth.scene} is for evaluation; recorded ones begin with {TRAIN_SEED}")
    outcome = {True: "success", False: "failure", None: "unknown"}[success]
    folder = root / lab / outcome / date / name
    if folder.exists():
        return folder
    # Readers pass over folders that begin with a dot: an interrupted one is none.
    partial = folder.with_name(f".partial-{name}")
    (partial / "recordings/frames").mkdir(parents=True, exist_ok=True)
    poses = [np.concatenate([s.o_t_ee[:3, 3], euler_of_rotation(s.o_t_ee[:3, :3])]) for s in states]
    closed = [min(max(1.0 - s.width_m / max_width_m, 0.0), 1.0) for s in states]
    with h5py.File(partial / "trajectory.h5", "w") as file:
        robot = file.create_group("observation/robot_state")
        robot["cartesian_position"] = np.array(poses)
        robot["gripper_position"] = np.array(closed)
        robot["joint_positions"] = np.array([s.joints_rad for s in states])
        file["observation/camera_extrinsics/front"] = np.tile(camera.extrinsics, (len(states), 1))
        file["observation/timestamp/time_s"] = STEP_S * np.arange(len(states))
        if truth is not None:
            _write_truth(file.create_group("simulator_state"), truth)
    header = struct.pack("<8sIIII", b"FSRGB8\r\n", 1, len(frames), camera.height_px, camera.width_px)
    (partial / "recordings/frames/front.rgb8").write_bytes(header + np.stack(frames).tobytes())
    said: dict[str, Any] = {
        "uuid": name,
        "lab": lab,
        "date": date,
        "current_task": task,
        "trajectory_length": len(states),
        "success": success,
        "ext1_cam_serial": "front",
    }
    if truth is not None:
        said["foresight"] = _recording(truth, task)
    (partial / f"metadata_{name}.json").write_text(json.dumps(said, indent=2) + "\n")
    return partial.rename(folder)


def _write_truth(group: h5py.Group, truth: Truth) -> None:
    """As Foresight's own recordings have it; of how objects are turned, of a target and of a scene of its own kind
    nothing is known here."""
    steps = len(truth.held)
    group["object_position_m"] = np.array(truth.object_m, dtype=np.float64)
    group["object_quaternion_xyzw"] = np.tile([0.0, 0.0, 0.0, 1.0], (steps, 1))
    group["held"] = np.array(truth.held, dtype=np.uint8)
    group["upright"] = np.ones(steps, dtype=np.uint8)
    group["target_position_m"] = np.zeros(2)
    group["scene"] = np.frombuffer(b"null", np.uint8)
    group.attrs["scene_seed"] = truth.scene


def _recording(truth: Truth, task: str) -> dict[str, Any]:
    said: dict[str, Any] = {
        "schema": 1,
        "split": "train" if truth.scene < VALIDATION_SEED else "validation",
        "seed": truth.scene,
        "scenario": task,
        "behaviour": task,
        "start": "",
        "waypoint_noise_m": 0.0,
        "random_action_share": 0.0,
        "step_rate_hz": 1.0 / STEP_S,
        "program_version": f"foresight-bridge {version('foresight-bridge')}",
    }
    if truth.branch is not None:
        state, index = truth.branch
        said["branch_of"] = {"seed": truth.scene, "step": state, "index": index}
    return said


def read_frames(folder: Path) -> tuple[Image, Array]:
    """Pictures `[T, height, width, 3]` and poses `[T, 7]`, m, rad and closedness, of an episode that `write_episode`
    wrote."""
    data = (folder / "recordings/frames/front.rgb8").read_bytes()
    size = struct.calcsize("<8sIIII")
    _, _, count, height, width = struct.unpack("<8sIIII", data[:size])
    frames = np.frombuffer(data[size:], np.uint8).reshape(count, height, width, 3)
    with h5py.File(folder / "trajectory.h5") as file:
        robot = file["observation/robot_state"]
        return frames, np.column_stack([robot["cartesian_position"], robot["gripper_position"]])
