"""A plan from two pictures, for Python programs that keep their own loop.

    foresight serve models/tabletop                       # in another terminal
    pip install ./bridges/python
    python examples/plan_over_zenoh.py now.png goal.png 0.5,0.0,0.3,3.14159,0,0,0
"""

import sys

from foresight_bridge import Planner

if len(sys.argv) < 4:
    sys.exit(__doc__)
# x, y, z in m, extrinsic xyz Euler angles in rad, gripper from 0 (open) to 1 (closed)
state = [float(v) for v in sys.argv[3].split(",")]
endpoint = sys.argv[4] if len(sys.argv) > 4 else "tcp/127.0.0.1:7450"
with Planner(connect=endpoint) as planner:
    plan = planner.plan(sys.argv[1], sys.argv[2], state, seed=7, settings=["planner.preset=fast"])
for step, action in enumerate(plan.actions, 1):
    print(step, " ".join(f"{v:8.4f}" for v in action))
print(f"energy {plan.energy:.4f} after {plan.evaluations} rollouts, seed {plan.seed}")
