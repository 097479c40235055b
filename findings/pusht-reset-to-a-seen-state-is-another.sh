#!/usr/bin/env bash
# gym-pusht 0.1.6 (pymunk 6.11.1, gymnasium 1.4.0): back to a state that was observed, and starts that are solved.
#
# One would guess: an observation of `obs_type="state"` (agent x, y, block x, y, angle) given back to `reset` as
# `reset_to_state` is that state again, so that recorded episodes can be replayed from any of their steps; and
# `info["is_success"]` of `reset` says whether the start is solved already.
#
# What happens: the block's angle is kept and its position is not. The block turns about its centre of mass, which is not
# the point its position names, after it was put down: at an angle of 2 rad it lies 76 px from where it was asked for, a
# seventh of the table's width. The package's documentation warns that the state set "is not the same"; that neither
# observations round-trip nor by how much isn't said. How far depends on the angle alone, so what must be asked for to get a
# state can be computed. And `is_success` is false at every reset: a start with the block exactly on its goal is told
# to be unsolved, and the first step without a motion ends the episode as a success. Whoever evaluates on drawn starts must
# measure the coverage themselves to leave out, or count, those that need nothing done.
#
# Seen (x86_64, Python 3.11): see the expected lines below.
#
# Fails when any of this changes. Needs Python 3.9 and PyPI, about 400 MB in a temporary folder; takes a minute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q gym-pusht==0.1.6 pymunk==6.11.1 gymnasium==1.4.0
cat > "$folder/reset.py" <<'PY'
import gymnasium as gym
import gym_pusht  # registers the environment
import numpy as np

env = gym.make("gym_pusht/PushT-v0", obs_type="state")


def reset(state):
    return env.reset(seed=0, options={"reset_to_state": np.array(state)})


def off(angle):
    """From where the block was asked for to where it is, px."""
    return reset([100.0, 100.0, 300.0, 300.0, angle])[0][2:4] - 300.0


for angle in (0.0, 1.0, 2.0, 3.0):
    print(f"at {angle} rad the block is {np.linalg.norm(off(angle)):.0f} px off")

seen, _ = env.reset(seed=3)
again, _ = reset(seen)
print(f"an observation given back: block {np.linalg.norm(again[2:4] - seen[2:4]):.0f} px off")

_, info = reset([100.0, 100.0, 300.0, 300.0, 0.0])
x, y, angle = info["goal_pose"]
seen, info = reset([100.0, 100.0, *(np.array([x, y]) - off(angle)), angle])
print(f"block on its goal: {bool(np.allclose(seen[2:], [x, y, angle], atol=1e-6))}")
print(f"solved at reset: {bool(info['is_success'])}")
_, _, terminated, _, info = env.step(np.array([100.0, 100.0]))
print(f"solved after a step without motion: {bool(info['is_success'])}, ended: {bool(terminated)}")
PY
seen=$(SDL_VIDEODRIVER=dummy "$folder/venv/bin/python" -W ignore "$folder/reset.py" 2>/dev/null | grep -v "^pygame")
expected="at 0.0 rad the block is 0 px off
at 1.0 rad the block is 43 px off
at 2.0 rad the block is 76 px off
at 3.0 rad the block is 90 px off
an observation given back: block 73 px off
block on its goal: True
solved at reset: False
solved after a step without motion: True, ended: True"
if [ "$seen" != "$expected" ]; then
    printf 'it has changed; now:\n%s\n' "$seen"
    exit 1
fi
echo "as described"
