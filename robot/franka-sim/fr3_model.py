#!/usr/bin/env python3
"""Writes the FR3 that franka-sim simulates when it can't download its own model.

franka-sim normally fetches a MuJoCo model with meshes. This derives one without meshes from the
URDF inside franka-sim's own wheel: the same joints, inertias, friction and damping, and no
collision bodies. Two files come out:

  fr3.xml   the MuJoCo model, for FR3_MJCF
  fr3.urdf  the model served to clients, for --urdf

In both the arm ends at the Franka Hand's tool centre point, as an arm does whose end effector is
set to "Franka Hand" in Desk: 0.1034 m beyond the flange and turned by -45 degrees. franka-sim
calls the last link's frame the end effector, and a node refuses every target when that differs
from what its own model computes, so both files must agree.

Usage: fr3_model.py FOLDER
"""

import math
import sys
import xml.etree.ElementTree as ET
from importlib.resources import files
from pathlib import Path

#: From link7's origin to the flange, and from the flange to the tool centre point, m along z.
FLANGE_M, TCP_M = 0.107, 0.1034
#: The hand's turn on the flange, rad about z.
HAND_YAW_RAD = -math.pi / 4
#: Rotor inertia seen through the gears, kg m^2, shoulder and elbow, then wrist. The URDF has none;
#: with less, the explicit damping of franka-sim's position servo (up to 450 N m s/rad at 1 kHz)
#: trembles in some poses.
ARMATURE = [0.6] * 4 + [0.3] * 3


def numbers(text):
    return [float(x) for x in text.split()]


def line(*values):
    return " ".join(f"{v:.10g}" for v in values)


def inertial(parent, link, shift_z=0.0, yaw=0.0):
    """The link's inertia, in a frame moved by shift_z along z and turned by yaw about z."""
    source = link.find("inertial")
    x, y, z = numbers(source.find("origin").get("xyz"))
    inertia = {k: float(v) for k, v in source.find("inertia").attrib.items()}
    cos, sin = math.cos(-yaw), math.sin(-yaw)
    x, y = cos * x - sin * y, sin * x + cos * y
    xx, yy, xy = inertia["ixx"], inertia["iyy"], inertia["ixy"]
    xz, yz = inertia["ixz"], inertia["iyz"]
    turned = (
        cos * cos * xx - 2 * cos * sin * xy + sin * sin * yy,
        sin * sin * xx + 2 * cos * sin * xy + cos * cos * yy,
        inertia["izz"],
        cos * sin * (xx - yy) + (cos * cos - sin * sin) * xy,
        cos * xz - sin * yz,
        sin * xz + cos * yz,
    )
    ET.SubElement(
        parent,
        "inertial",
        pos=line(x, y, z - shift_z),
        mass=source.find("mass").get("value"),
        fullinertia=line(*turned),
    )


def quaternion(rpy):
    """w x y z of extrinsic xyz angles, rad."""
    (cr, cp, cy), (sr, sp, sy) = zip(*((math.cos(a / 2), math.sin(a / 2)) for a in rpy))
    return (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )


def mjcf(robot):
    links = {link.get("name"): link for link in robot.findall("link")}
    joints = {joint.get("name"): joint for joint in robot.findall("joint")}
    root = ET.Element("mujoco", model="fr3")
    ET.SubElement(root, "compiler", angle="radian", balanceinertia="true")
    ET.SubElement(root, "option", integrator="implicitfast")
    body = ET.SubElement(ET.SubElement(root, "worldbody"), "body", name="fr3_link0")
    inertial(body, links["link0"])
    for i in range(1, 8):
        joint = joints[f"joint{i}"]
        x, y, z = numbers(joint.find("origin").get("xyz"))
        placed = dict(pos=line(x, y, z), quat=line(*quaternion(numbers(joint.find("origin").get("rpy")))))
        shift, yaw = 0.0, 0.0
        if i == 7:
            # The last body's frame is the end effector's: along and about the joint's own axis.
            shift, yaw = FLANGE_M + TCP_M, HAND_YAW_RAD
            wrist = ET.SubElement(body, "frame", **placed)
            body = ET.SubElement(
                wrist, "body", name="fr3_link7", pos=line(0, 0, shift), quat=line(*quaternion((0, 0, yaw)))
            )
        else:
            body = ET.SubElement(body, "body", name=f"fr3_link{i}", **placed)
        inertial(body, links[f"link{i}"], shift, yaw)
        limit, dynamics = joint.find("limit"), joint.find("dynamics")
        ET.SubElement(
            body,
            "joint",
            name=f"fr3_joint{i}",
            axis="0 0 1",
            range=f"{limit.get('lower')} {limit.get('upper')}",
            limited="true",
            armature=str(ARMATURE[i - 1]),
            damping=dynamics.get("damping"),
            frictionloss=dynamics.get("friction"),
        )
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def urdf(robot):
    origin = next(j for j in robot.findall("joint") if j.get("name") == "joint8").find("origin")
    origin.set("xyz", line(0, 0, FLANGE_M + TCP_M))
    origin.set("rpy", line(0, 0, HAND_YAW_RAD))
    return ET.tostring(robot, encoding="unicode") + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip().splitlines()[-1])
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    robot = ET.fromstring((files("franka_sim") / "models" / "fr3.urdf").read_text())
    (folder / "fr3.xml").write_text(mjcf(robot))
    (folder / "fr3.urdf").write_text(urdf(robot))


if __name__ == "__main__":
    main()
