"""Episodes as Foresight trains on them: DROID's raw layout, pictures lossless. Needs h5py."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from .environment import ArmState, Camera, Image
from .geometry import Array, euler_of_rotation

STEP_S = 0.25
"""What a step counts as: the time between two states of a 4 Hz model."""


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
) -> Path:
    """Writes one episode of as many frames as states; the folder. An episode that is there already is left alone."""
    if len(states) != len(frames) or not states:
        raise ValueError(f"{len(states)} states, {len(frames)} frames")
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
    header = struct.pack("<8sIIII", b"FSRGB8\r\n", 1, len(frames), camera.height_px, camera.width_px)
    (partial / "recordings/frames/front.rgb8").write_bytes(header + np.stack(frames).tobytes())
    said = {
        "uuid": name,
        "lab": lab,
        "date": date,
        "current_task": task,
        "trajectory_length": len(states),
        "success": success,
        "ext1_cam_serial": "front",
    }
    (partial / f"metadata_{name}.json").write_text(json.dumps(said, indent=2) + "\n")
    return partial.rename(folder)


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
