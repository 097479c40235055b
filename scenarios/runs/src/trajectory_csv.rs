//! Poses as CSV: what spreadsheets open, what `replay` plays.
//!
//! Numbers are written with as many digits as they need to come back with the same bits, and a
//! file holds everything an exact replay needs. Columns are found by name, in any order:
//!
//! | column | meaning |
//! |---|---|
//! | `x_m`, `y_m`, `z_m` | position, base frame (also `x`, `y`, `z`) |
//! | `rx_rad`, `ry_rad`, `rz_rad` | extrinsic xyz Euler angles (also `rx`, `ry`, `rz`) |
//! | `gripper` | closedness, 0 open to 1 closed; open when the column is missing |
//! | `time_s` | when, optional (also `t`, `time`) |
//! | `action_x_m` … `action_rz_rad`, `action_gripper` | the action taken from here, optional; empty in the last row |
//!
//! A file whose first line has no letters is read as `x, y, z, rx, ry, rz[, gripper[, time]]`.

use std::io::Cursor;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use foresight_planner::{Action, Pose};

const POSE: [&str; 7] = ["x_m", "y_m", "z_m", "rx_rad", "ry_rad", "rz_rad", "gripper"];
const SHORT: [&str; 7] = ["x", "y", "z", "rx", "ry", "rz", "g"];

/// A table of poses.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PoseTable {
    /// The poses, `T`.
    pub poses: Vec<Pose>,
    /// When, s; `T`, or empty.
    pub time_s: Vec<f64>,
    /// What was done in between, `T - 1`; empty when not known.
    pub actions: Vec<Action>,
}

impl PoseTable {
    /// As CSV text.
    pub fn to_csv(&self) -> String {
        let (timed, acted) = (!self.time_s.is_empty(), !self.actions.is_empty());
        let mut head = vec!["step".to_owned()];
        head.extend(timed.then(|| "time_s".to_owned()));
        head.extend(POSE.map(str::to_owned));
        if acted {
            head.extend(POSE.map(|name| format!("action_{name}")));
        }
        let mut rows = vec![head];
        for (step, pose) in self.poses.iter().enumerate() {
            let mut row = vec![step.to_string()];
            row.extend(self.time_s.get(step).map(f64::to_string));
            row.extend(pose.to_array().map(|v| v.to_string()));
            match self.actions.get(step) {
                Some(action) => row.extend(action.to_array().map(|v| v.to_string())),
                None if acted => row.extend([(); 7].map(|()| String::new())),
                None => {}
            }
            rows.push(row);
        }
        rows.iter().map(|row| row.join(",") + "\n").collect()
    }

    /// Reads a CSV file.
    ///
    /// # Errors
    /// File, line and what is wrong there.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("can't read {}: {e}", path.display()))?;
        PoseTable::parse(&text).map_err(|(line, what)| format!("{}:{line}: {what}", path.display()))
    }

    /// Reads CSV text; an error names its line.
    ///
    /// # Errors
    /// The line, from 1, and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut rows = rows(text);
        let Some(first) = rows.next().transpose()? else {
            return Err((1, "the file has no poses".into()));
        };
        let line = first.0;
        let named = |c: char| c.is_alphabetic() && c != 'e' && c != 'E';
        let at = |what| (line, what);
        let (columns, first) = if first.1.iter().any(|cell| cell.contains(named)) {
            (Columns::named(&first.1).map_err(at)?, None)
        } else {
            (Columns::plain(first.1.len()).map_err(at)?, Some(Ok(first)))
        };
        let mut table = PoseTable::default();
        let mut ended = None;
        for row in first.into_iter().chain(rows) {
            let (line, row) = row?;
            if let Some(ended) = ended {
                if columns.action.is_some() {
                    return Err((ended, "only the last row may have no action".into()));
                }
            }
            let pose = columns.pose(&row).map_err(|what| (line, what))?;
            table.poses.push(Pose::from_array(pose));
            if let Some(column) = columns.time {
                let time = number(&row, column, "time_s").map_err(|what| (line, what))?;
                if table.time_s.last().is_some_and(|last| time < *last) {
                    return Err((line, format!("time runs backwards here, to {time} s")));
                }
                table.time_s.push(time);
            }
            match columns.action(&row).map_err(|what| (line, what))? {
                Some(action) => table.actions.push(Action::from_array(action)),
                None => ended = Some(line),
            }
        }
        if table.poses.len() < 2 {
            let what = "a replay needs at least two poses".to_owned();
            return Err((line, what));
        }
        table.actions.truncate(table.poses.len() - 1);
        Ok(table)
    }
}

/// A row's line and cells, or the line and what is wrong there.
type Row = Result<(usize, StringRecord), (usize, String)>;

/// The rows that are neither empty nor comments, cut at commas, or at semicolons or tabs when the
/// first has some.
fn rows(text: &str) -> impl Iterator<Item = Row> {
    let lines = text.lines().map(str::trim).enumerate();
    let (numbers, lines): (Vec<usize>, Vec<&str>) = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(i, line)| (i + 1, line))
        .unzip();
    let first = lines.first().copied().unwrap_or_default();
    let delimiter = [b';', b'\t']
        .into_iter()
        .find(|d| first.as_bytes().contains(d));
    let reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(delimiter.unwrap_or(b','))
        .from_reader(Cursor::new(lines.join("\n")));
    reader.into_records().enumerate().map(move |(i, row)| {
        let line = numbers.get(i).copied().unwrap_or(1);
        row.map(|row| (line, row))
            .map_err(|error| (line, error.to_string()))
    })
}

fn number(row: &StringRecord, column: usize, name: &str) -> Result<f64, String> {
    let text = row.get(column).unwrap_or_default();
    let value: f64 = text
        .parse()
        .map_err(|_| format!("{name} is {text:?}, not a number"))?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(format!("{name} is {value}; poses must be finite"))
    }
}

/// Which column holds what.
struct Columns {
    pose: [Option<usize>; 7],
    time: Option<usize>,
    action: Option<[usize; 7]>,
}

impl Columns {
    fn named(head: &StringRecord) -> Result<Self, String> {
        let names: Vec<String> = head.iter().map(str::to_lowercase).collect();
        let find = |wanted: &[&str]| names.iter().position(|n| wanted.contains(&n.as_str()));
        let pose: [Option<usize>; 7] = std::array::from_fn(|i| find(&[POSE[i], SHORT[i]]));
        if let Some(missing) = (0..6).find(|i| pose[*i].is_none()) {
            return Err(format!(
                "there is no column {}; needed are x_m, y_m, z_m in metres and rx_rad, ry_rad, \
                 rz_rad in radians (extrinsic xyz Euler angles)",
                POSE[missing]
            ));
        }
        let actions: Vec<usize> = POSE
            .iter()
            .filter_map(|name| find(&[&format!("action_{name}")]))
            .collect();
        Ok(Columns {
            pose,
            time: find(&["time_s", "time", "t"]),
            action: <[usize; 7]>::try_from(actions).ok(),
        })
    }

    fn plain(count: usize) -> Result<Self, String> {
        if !(6..=8).contains(&count) {
            return Err(format!(
                "{count} numbers in a row without column names; give x, y, z in metres, rx, ry, \
                 rz in radians, then gripper and time if known"
            ));
        }
        Ok(Columns {
            pose: std::array::from_fn(|i| (i < count).then_some(i)),
            time: (count == 8).then_some(7),
            action: None,
        })
    }

    fn pose(&self, row: &StringRecord) -> Result<[f64; 7], String> {
        let mut pose = [0.0; 7];
        for (i, column) in self.pose.iter().enumerate() {
            if let Some(column) = column {
                pose[i] = number(row, *column, POSE[i])?;
            }
        }
        if !(0.0..=1.0).contains(&pose[6]) {
            return Err(format!(
                "gripper is {}, outside 0 (open) to 1 (closed)",
                pose[6]
            ));
        }
        Ok(pose)
    }

    fn action(&self, row: &StringRecord) -> Result<Option<[f64; 7]>, String> {
        let Some(columns) = self.action else {
            return Ok(None);
        };
        if columns
            .iter()
            .all(|c| row.get(*c).is_none_or(str::is_empty))
        {
            return Ok(None);
        }
        let mut action = [0.0; 7];
        for (i, column) in columns.into_iter().enumerate() {
            action[i] = number(row, column, POSE[i])?;
        }
        Ok(Some(action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> PoseTable {
        let pose = |i: usize| Pose::from_array(std::array::from_fn(|k| 1.0 / (3 + i + k) as f64));
        let action = |i: usize| {
            Action::from_array(std::array::from_fn(|k| 0.1_f32 as f64 / (1 + i + k) as f64))
        };
        PoseTable {
            poses: (0..5).map(pose).collect(),
            time_s: (0..5).map(|i| f64::from(i) / 3.0).collect(),
            actions: (0..4).map(action).collect(),
        }
    }

    #[test]
    fn a_table_comes_back_with_the_same_bits() {
        assert_eq!(PoseTable::parse(&table().to_csv()), Ok(table()));
        let bare = PoseTable {
            time_s: Vec::new(),
            actions: Vec::new(),
            ..table()
        };
        assert_eq!(PoseTable::parse(&bare.to_csv()), Ok(bare));
    }

    #[test]
    fn short_names_other_orders_and_plain_rows_are_read() {
        let named = "t;z;y;x;rz;ry;rx\n0;3;2;1;6;5;4\n0.5;3;2;1;6;5;4\n";
        let table = PoseTable::parse(named).unwrap();
        assert_eq!(
            table.poses[0].to_array(),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0]
        );
        assert_eq!(table.time_s, [0.0, 0.5]);
        let plain = "# x y z ...\n1,2,3,4,5,6,1e-1\n1,2,3,4,5,6,0.2\n";
        let table = PoseTable::parse(plain).unwrap();
        assert_eq!(table.poses[1].gripper, 0.2);
    }

    #[test]
    fn faults_are_named_with_their_line() {
        for (text, line, words) in [
            ("", 1, "no poses"),
            ("x_m,y_m\n1,2\n", 1, "no column z_m"),
            ("1,2,3,4,5,6\n1,2,3,x,5,6\n", 2, "not a number"),
            ("# a\n\n1,2,3,4,5,6\n # b\n1,2,3,x,5,6\n", 5, "not a number"),
            ("1,2,3,4,5,6,2\n1,2,3,4,5,6,0\n", 1, "outside 0"),
            ("1,2,3,4,5,6\n", 1, "at least two"),
            ("1,2,3\n", 1, "3 numbers"),
            ("1,2,3,4,5,inf\n1,2,3,4,5,6\n", 1, "no column"),
            ("1,2,3,4,5,6,0,1\n1,2,3,4,5,6,0,0\n", 2, "backwards"),
        ] {
            let (at, what) = PoseTable::parse(text).expect_err(text);
            assert!(at == line && what.contains(words), "{text:?}: {at} {what}");
        }
    }
}
