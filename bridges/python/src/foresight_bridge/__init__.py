"""Simulators with a Franka arm on the keys that Foresight drives, and Foresight's plans for Python programs.

`Bridge` serves an `Environment` as franka-node serves an arm and franka-cam a camera, for simulators only: it has
none of what protects a real arm. `Planner` asks Foresight for plans.
"""

from .bridge import Bridge
from .environment import (
    ArmState,
    Camera,
    Environment,
    EnvironmentFault,
    Goal,
    GripperCommand,
    Task,
    Verdict,
)
from .guard import Limits
from .planner import Plan, Planner, PlanRefused

__all__ = [
    "ArmState",
    "Bridge",
    "Camera",
    "Environment",
    "EnvironmentFault",
    "Goal",
    "GripperCommand",
    "Limits",
    "Plan",
    "PlanRefused",
    "Planner",
    "Task",
    "Verdict",
]
