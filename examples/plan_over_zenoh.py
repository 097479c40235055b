"""A plan from two pictures, for Python programs that keep their own loop.

    foresight serve models/tabletop                       # in another terminal
    pip install eclipse-zenoh==1.7.2
    python examples/plan_over_zenoh.py now.png goal.png 0.5,0.0,0.3,3.14159,0,0,0
"""

import json
import sys

import zenoh

if len(sys.argv) < 4:
    sys.exit(__doc__)
context, goal = (open(path, "rb").read() for path in sys.argv[1:3])
endpoint = sys.argv[4] if len(sys.argv) > 4 else "tcp/127.0.0.1:7450"

config = zenoh.Config()
config.insert_json5("mode", '"client"')
config.insert_json5("connect/endpoints", json.dumps([endpoint]))
config.insert_json5("scouting/multicast/enabled", "false")
request = {
    "context_bytes": len(context),
    # x, y, z in m, extrinsic xyz Euler angles in rad, gripper from 0 (open) to 1 (closed)
    "state": [float(v) for v in sys.argv[3].split(",")],
    "seed": 7,
    "set": ["planner.preset=fast"],
}
with zenoh.open(config) as session:
    replies = session.get(
        "foresight/workers/*/plan",
        payload=context + goal,
        attachment=json.dumps(request),
        timeout=60,
    )
    reply = next(iter(replies), None)
    if reply is None:
        sys.exit(f"no worker answers at {endpoint}")
    if reply.ok is None:
        sys.exit(reply.err.payload.to_string())
    plan = json.loads(reply.ok.payload.to_bytes())
for step, action in enumerate(plan["actions"], 1):
    print(step, " ".join(f"{v:8.4f}" for v in action))
print(f"energy {plan['energy']:.4f} after {plan['evaluations']} rollouts, seed {plan['seed']}")
