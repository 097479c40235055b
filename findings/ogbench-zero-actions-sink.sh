#!/usr/bin/env bash
# ogbench 1.2.2 (mujoco 4.0.0): cube-single's arm, told to do nothing.
#
# One would guess: actions are relative, so an action of zeros keeps the hand where it is, and "do nothing" is a baseline
# that moves nothing.
#
# What happens: an action is added to the pose that is *measured* at each step, not to the one asked for before. The
# joints' servo sags a little under the arm's weight, the sagged pose becomes the next target, and the hand sinks, with
# whatever it holds: by more than a centimetre in the first second, and on. Whoever wants to stand still, or to arrive
# where a sum of actions says, keeps a target and asks each time for the way from the measured pose to it; then
# the hand stays.
#
# Seen (x86_64, Python 3.11): see the expected lines below.
#
# Fails when any of this changes. Needs Python 3.9 and PyPI, about 400 MB in a temporary folder; takes a minute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q ogbench==1.2.2 mujoco==4.0.0 dm_control==1.0.50
cat > "$folder/stand.py" <<'PY'
import numpy as np
from ogbench.manipspace.envs.cube_env import CubeEnv


def sunk_cm(keeps_a_target):
    """How far the hand sinks in each of two seconds, the least of five scenes for nothing, the most for a target."""
    sunk = []
    for seed in range(5):
        env = CubeEnv("single", mode="data_collection")
        _, info = env.reset(seed=seed)
        target_m, heights_m = info["proprio/effector_pos"], [info["proprio/effector_pos"][2]]
        for _ in range(2):
            for _ in range(20):
                action = np.zeros(5)
                if keeps_a_target:
                    action[:3] = target_m - info["proprio/effector_pos"]
                    action = env.normalize_action(action)
                _, _, _, _, info = env.step(action)
            heights_m.append(info["proprio/effector_pos"][2])
        sunk.append(-100 * np.diff(heights_m))
    return np.max(sunk, 0) if keeps_a_target else np.min(sunk, 0)


first, second = sunk_cm(keeps_a_target=False)
print(f"zeros: sinks by more than 1 cm in the first second {first > 1.0}, in the second {second > 1.0}")
first, second = sunk_cm(keeps_a_target=True)
print(f"a target: sinks by more than 1 cm in the first second {first > 1.0}, in the second {second > 1.0}")
PY
seen=$("$folder/venv/bin/python" "$folder/stand.py" 2>/dev/null)
expected="zeros: sinks by more than 1 cm in the first second True, in the second True
a target: sinks by more than 1 cm in the first second False, in the second False"
if [ "$seen" != "$expected" ]; then
    printf 'it has changed; now:\n%s\n' "$seen"
    exit 1
fi
echo "as described"
