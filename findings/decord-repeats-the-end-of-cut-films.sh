#!/usr/bin/env bash
# decord 0.6.0 (PyAV 14.0.1, ffmpeg 7.0.2 of imageio-ffmpeg 0.6.0): a film cut without encoding anew, as ffmpeg's
# `-ss … -c copy` does: it begins with the key frame before the cut, and its edit list says from where it is shown.
# V-JEPA 2's and DROID's loaders read films with decord.
#
# One would guess: as many frames as are shown, each at its time from 0; or, at worst, those before the cut too.
#
# What happens: it counts the packets (40), but gives the 33 frames that are shown and then the last one seven more times,
# and its timestamps begin below 0, so that each picture has the time of the one seven before it. Nothing says so. PyAV
# gives the 33 at their times. A trajectory of 40 rows, or one cut beside the film, so meets other pictures than its own.
#
# Seen (x86_64, Python 3.11): see the expected lines below.
#
# Fails when any of this changes. Needs Python 3.9 to 3.12 and PyPI, about 300 MB in a temporary folder; takes a minute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q decord==0.6.0 av==14.0.1 numpy==1.26.4 imageio-ffmpeg==0.6.0
cat > "$folder/cut.py" <<'PY'
import subprocess
import sys

import av
import decord
import imageio_ffmpeg
import numpy as np

folder = sys.argv[1]
ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
whole, cut = f"{folder}/whole.mp4", f"{folder}/cut.mp4"
encode = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=4", "-c:v", "libx264", "-g", "20", "-bf", "0"]
subprocess.run([*ffmpeg, *encode, "-pix_fmt", "yuv420p", whole], check=True)
subprocess.run([*ffmpeg, "-ss", "0.7", "-i", whole, "-c", "copy", cut], check=True)
recorded = decord.VideoReader(whole)
recorded = recorded.get_batch(range(len(recorded))).asnumpy().astype(int)


def number(frame):
    return int(np.abs(recorded - frame.astype(int)).mean((1, 2, 3)).argmin())


shown = [(number(f.to_ndarray(format="rgb24")), f.time) for f in av.open(cut).decode(video=0)]
print("PyAV:", len(shown), "frames, first", shown[0], "last", shown[-1])
film = decord.VideoReader(cut)
numbers = [number(film[i].asnumpy()) for i in range(len(film))]
times = [round(float(film.get_frame_timestamp(i)[0]), 1) for i in (0, len(film) - 1)]
print("decord:", len(film), "frames, first", (numbers[0], times[0]), "last", (numbers[-1], times[-1]))
print("the last one", numbers.count(numbers[-1]), "times")
PY
seen=$("$folder/venv/bin/python" "$folder/cut.py" "$folder")
expected="PyAV: 33 frames, first (7, 0.0) last (39, 3.2)
decord: 40 frames, first (7, -0.7) last (39, 3.2)
the last one 8 times"
if [ "$seen" != "$expected" ]; then
    printf 'it has changed; now:\n%s\n' "$seen"
    exit 1
fi
echo "as described"
