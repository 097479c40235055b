"""What another simulator (Isaac Sim, Genesis, SAPIEN, your own) must provide: copy this file and fill it in.

Everything is called from the thread that calls `Bridge.serve`, which is also the one to create the simulator in: most
renderers are bound to theirs. Frames, units and signs are those of docs/bridges.md; what most simulators have
otherwise is said at each place. `foresight doctor` says what a client finds wrong: an end effector that isn't the
Franka Hand's, frames that are late, a workspace the arm is outside of. Look at one picture by eye as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..environment import ArmState, Camera, Goal, GripperCommand, Image, Verdict
from ..geometry import Array


class YourArm:
    """One Panda or FR3 with the Franka Hand."""

    period_s = 0.02
    """50 Hz: as often as targets come. A multiple of the simulator's own step; an actual step longer than that makes
    the bridge run in slow motion, which is allowed."""
    max_width_m = 0.08
    camera: Camera
    """Set it when the scene is built. Isaac's and MuJoCo's cameras look along -z with y up: turn them by 180° about x."""

    def reset(self, seed: int) -> None:
        """Draw every random choice of the scene from `numpy.random.default_rng(seed)`, so that a seed is a scene. The
        hand should hang straight down: the bundled model plans no rotations."""
        raise NotImplementedError

    def step(self, target: Array, gripper: GripperCommand) -> None:
        """Lead the tool point, not the flange and not the simulator's own "ee" frame, to `target` with the controller
        you have (operational space, or inverse kinematics and joint drives), and step until `period_s` has passed.
        Targets move at most 0.2 m/s; following within 1 cm is enough, but at rest the arm must arrive within 2 mm, or
        every action waits out its timeout. With `gripper.force_n` close and press; without, go to the width."""
        raise NotImplementedError

    def arm(self) -> ArmState:
        """Joints in Franka's order. `o_t_ee` from the tool point in the arm's base frame, not in the world."""
        raise NotImplementedError

    def render(self) -> Image:
        """RGB without alpha, row 0 at the top: OpenGL reads pictures from the bottom."""
        raise NotImplementedError

    # For `foresight eval`; leave both out without it.

    def goals(self) -> Sequence[Goal]:
        """Pose the scene as each sub-goal has it, draw it, and put everything back as it was."""
        raise NotImplementedError

    def verdict(self) -> Verdict:
        """From the simulator's state alone. It must be false after every `reset`: the bridge refuses a scene that
        begins solved."""
        raise NotImplementedError
