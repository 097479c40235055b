#!/usr/bin/env bash
# zenoh 1.10.2 (PyPI eclipse-zenoh; the Rust crate does the same): who answers a query with a wildcard.
#
# One would guess: two arms that each answer a query for `arm/*/state` give two replies, whatever key a reply is
# put under; `query.reply(query.key_expr, …)` is the first thing to write, and is right for every query of one key.
#
# What happens: replies are consolidated by their key. `query.key_expr` is what was asked for, wildcard and all, so
# both replies have the same key, and only one of two arms, cameras or workers is found, without a word.
# Each must answer under its own key; or the asker must ask without consolidation.
#
# Seen (x86_64, Python 3.11): see the expected lines below.
#
# Fails when any of this changes. Needs Python 3.9 and PyPI; takes ten seconds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q eclipse-zenoh==1.10.2
cat > "$folder/ask.py" <<'PY'
import json
import socket
import time

import zenoh


def session(listen=(), connect=()):
    config = zenoh.Config()
    config.insert_json5("mode", '"peer"')
    config.insert_json5("listen/endpoints", json.dumps(list(listen)))
    config.insert_json5("connect/endpoints", json.dumps(list(connect)))
    config.insert_json5("scouting/multicast/enabled", "false")
    return zenoh.open(config)


def free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"tcp/127.0.0.1:{s.getsockname()[1]}"


endpoints = [free(), free()]
arms = [session(listen=[endpoint]) for endpoint in endpoints]
asker = session(connect=endpoints)


def replies(own_key, **how):
    offers = []
    for number, arm in enumerate(arms):
        key = f"arm/{number}/state"
        answer = lambda query, key=key: query.reply(key if own_key else query.key_expr, key)
        offers.append(arm.declare_queryable(key, answer))
    time.sleep(1)
    got = sum(reply.ok is not None for reply in asker.get("arm/*/state", timeout=3, **how))
    for offer in offers:
        offer.undeclare()
    time.sleep(0.3)
    return got


print("two arms, each replies under its own key:", replies(True))
print("two arms, each replies under the query's key:", replies(False))
print("the same, asked without consolidation:", replies(False, consolidation=zenoh.ConsolidationMode.NONE))
PY
seen=$("$folder/venv/bin/python" "$folder/ask.py")
expected="two arms, each replies under its own key: 2
two arms, each replies under the query's key: 1
the same, asked without consolidation: 2"
if [ "$seen" != "$expected" ]; then
    printf 'it has changed; now:\n%s\n' "$seen"
    exit 1
fi
echo "as described"
