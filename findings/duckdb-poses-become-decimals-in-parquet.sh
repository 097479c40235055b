#!/usr/bin/env bash
# duckdb 2.0.1 (pyarrow 26.0.1, pandas 3.1.1): poses that a query writes, such as a gripper set to 0.25 in a LeRobot dataset's
# Parquet, or a corrected offset.
#
# One would guess: a number with a decimal point is a float, and the Parquet file has a column of doubles.
#
# What happens: it is a DECIMAL as wide as its digits, in lists too, and Parquet keeps a narrow one as INT32 with a scale
# in the column's annotation. A reader that goes by the physical type sees 45 where 0.45 was written; pandas gets
# Python's Decimal objects, of which NumPy makes arrays of objects, and which no tensor takes. Casts help: 0.45::float.
#
# Seen (x86_64, Python 3.11): see the expected lines below.
#
# Fails when any of this changes. Needs Python 3.9 and PyPI, about 300 MB in a temporary folder; takes a minute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q duckdb==2.0.1 pyarrow==26.0.1 pandas==3.1.1
cat > "$folder/poses.py" <<'PY'
import sys

import duckdb
import numpy as np
import pyarrow.parquet as pq

path = f"{sys.argv[1]}/poses.parquet"
duckdb.sql(f"copy (select 0.45 as x, [0.45, 0.05, 0.3] as state, 0.45::float as cast_x) to '{path}' (format parquet)")
file = pq.ParquetFile(path)
for i in range(3):
    column = file.schema.column(i)
    print(column.path, column.physical_type, column.logical_type)
table = file.read().to_pandas()
print(table["x"].dtype, np.stack(table["state"]).dtype, table["cast_x"].dtype)
PY
seen=$("$folder/venv/bin/python" "$folder/poses.py" "$folder")
expected="x INT32 Decimal(precision=3, scale=2)
state.list.element INT32 Decimal(precision=3, scale=2)
cast_x FLOAT None
object object float32"
if [ "$seen" != "$expected" ]; then
    printf 'it has changed; now:\n%s\n' "$seen"
    exit 1
fi
echo "as described"
