//! Poses as CSV: what spreadsheets open, what `replay` plays.
//!
//! Numbers are written with as many digits as they need to come back with the same bits, and a
//! file holds everything an exact replay needs. Columns are found by name, in any order:
//!
//! | column | meaning |
//! |---|---|
//! | `x_m`, `y_m`, `z_m` | position, base frame (also `x`, `y`, `z`) |
//! | `rx_rad`, `ry_rad`, `rz_rad` | extrinsic xyz Euler angles (also `rx`, `ry`, `rz`, or `roll`, `pitch`, `yaw`) |
//! | `gripper` | closedness, 0 open to 1 closed; open when the column is missing |
//! | `time_s` | when, optional (also `t_s`, `time`, `t`) |
//! | `action_x_m` … `action_rz_rad`, `action_gripper` | the action taken from here, optional; empty in the last row |
//!
//! Column names may stand behind a `#`, a `%` or a `//`. A file without any is read as
//! `x, y, z, rx, ry, rz[, gripper[, time]]`. Cells stand between commas, semicolons, tabs or blanks,
//! quoted or not; decimals may be written with a comma.

use std::path::Path;

use csv::StringRecord;
use foresight_planner::{pose_units, Action, Pose};

use crate::csv_rows::{self, CsvRows};

const POSE: [&str; 7] = ["x_m", "y_m", "z_m", "rx_rad", "ry_rad", "rz_rad", "gripper"];
/// The same as others call them.
const ALSO: [&[&str]; 7] = [
    &["x"],
    &["y"],
    &["z"],
    &["rx", "roll_rad", "roll"],
    &["ry", "pitch_rad", "pitch"],
    &["rz", "yaw_rad", "yaw"],
    &["g"],
];
const TIME: [&str; 4] = ["time_s", "t_s", "time", "t"];
/// Columns that say which arm or episode a row is of.
const WHICH: [&str; 7] = [
    "arm",
    "robot",
    "side",
    "episode",
    "episode_index",
    "episode_id",
    "trajectory",
];
/// What other columns of times begin with.
const LIKE_TIME: [&str; 9] = [
    "time", "t_s", "t_ms", "t_us", "t_ns", "t [", "t(", "stamp", "sec",
];
/// Poses farther apart than this are timed in another unit, s; a large model may think for minutes.
const LONGEST_STEP_S: f64 = 1e4;
/// The same where no model thought in between: there are no actions.
const LONGEST_PLAIN_STEP_S: f64 = 20.0;

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
        let bytes =
            std::fs::read(path).map_err(|e| format!("can't read {}: {e}", path.display()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| format!("{} is no UTF-8 text; save it as CSV UTF-8", path.display()))?;
        PoseTable::parse(&text).map_err(|(line, what)| format!("{}:{line}: {what}", path.display()))
    }

    /// Reads CSV text; an error names its line.
    ///
    /// # Errors
    /// The line, from 1, and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let CsvRows { comments, rows } = CsvRows::cut(text)?;
        let Some((line, first)) = rows.first() else {
            return Err((1, "the file has no poses".into()));
        };
        let line = *line;
        let is_head = |row: &StringRecord| {
            let named = |c: char| c.is_alphabetic() && c != 'e' && c != 'E';
            row.iter().any(|cell| cell.contains(named))
        };
        let (columns, rows) = match is_head(first) {
            true => (
                Columns::named(first).map_err(|what| (line, what))?,
                &rows[1..],
            ),
            false => {
                let mut fault = None;
                let mut named = comments.iter().rev().filter_map(|(at, head)| {
                    let columns = Columns::named(head);
                    if let (true, Err(what)) =
                        (head.len() == first.len() && is_head(head), &columns)
                    {
                        fault.get_or_insert((*at, what.clone()));
                    }
                    columns.ok()
                });
                let columns = match (named.next(), fault) {
                    (Some(columns), _) => columns,
                    (None, Some(fault)) => return Err(fault),
                    (None, None) => {
                        Columns::plain(first.len(), &rows).map_err(|what| (line, what))?
                    }
                };
                (columns, &rows[..])
            }
        };
        columns.check_unnamed(rows).map_err(|what| (line, what))?;
        columns.check_one(rows)?;
        let mut table = PoseTable::default();
        let mut ended = None;
        for (line, row) in rows {
            let line = *line;
            if let Some(ended) = ended {
                if columns.action.is_some() {
                    return Err((ended, "only the last row may have no action".into()));
                }
            }
            columns.count(row).map_err(|what| (line, what))?;
            let pose = columns.pose(row).map_err(|what| (line, what))?;
            if let Some(doubt) = pose_units::doubt(&pose) {
                return Err((line, doubt));
            }
            table.poses.push(Pose::from_array(pose));
            if let Some(column) = columns.time {
                let time = number(row, column, "time_s").map_err(|what| (line, what))?;
                if table.time_s.last().is_some_and(|last| time < *last) {
                    return Err((line, format!("time runs backwards here, to {time} s")));
                }
                table.time_s.push(time);
            }
            match columns.action(row).map_err(|what| (line, what))? {
                Some(action) => table.actions.push(Action::from_array(action)),
                None => ended = Some(line),
            }
        }
        if table.poses.len() < 2 {
            let what = "a replay needs at least two poses".to_owned();
            return Err((line, what));
        }
        if let (Some(start), Some(end)) = (table.time_s.first(), table.time_s.last()) {
            if end == start {
                let what =
                    format!("every pose has the time {start} s; give times that run, or none");
                return Err((line, what));
            }
            let step_s = (end - start) / (table.time_s.len() - 1) as f64;
            let longest = match table.actions.is_empty() {
                true => LONGEST_PLAIN_STEP_S,
                false => LONGEST_STEP_S,
            };
            if step_s > longest {
                let unit = if step_s > LONGEST_STEP_S {
                    "µs or ns"
                } else {
                    "ms"
                };
                let what = format!(
                    "the poses are {step_s} s apart; the times are probably in {unit}: give seconds"
                );
                return Err((line, what));
            }
        }
        table.actions.truncate(table.poses.len() - 1);
        Ok(table)
    }
}

fn number(row: &StringRecord, column: usize, name: &str) -> Result<f64, String> {
    let text = row.get(column).unwrap_or_default();
    let value =
        csv_rows::number(text).ok_or_else(|| format!("{name} is {text:?}, not a number"))?;
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
    /// A column whose name is empty.
    unnamed: Option<usize>,
    /// A column that says which of several a row is of.
    which: Option<usize>,
    /// Cells in a row.
    count: usize,
}

impl Columns {
    fn named(head: &StringRecord) -> Result<Self, String> {
        let names: Vec<String> = head.iter().map(str::to_lowercase).collect();
        let find = |name: &str| {
            let mut at = (0..names.len()).filter(|i| names[*i] == name);
            match (at.next(), at.next()) {
                (Some(_), Some(_)) => Err(format!("the column {name} is there twice")),
                (found, _) => Ok(found),
            }
        };
        // The full name first: `x` beside `x_m` may be anything.
        let first_of = |wanted: &[&str]| {
            let mut found = wanted.iter().filter_map(|name| find(name).transpose());
            found.next().transpose()
        };
        let there = || format!("the columns are {}", names.join(", "));
        let mut pose = [None; 7];
        for (i, column) in pose.iter_mut().enumerate() {
            *column = first_of(&[&[POSE[i]], ALSO[i]].concat())?;
        }
        if let Some(missing) = (0..6).find(|i| pose[*i].is_none()) {
            return Err(format!(
                "there is no column {}; needed are x_m, y_m, z_m in metres and rx_rad, ry_rad, \
                 rz_rad in radians (extrinsic xyz Euler angles); {}",
                POSE[missing],
                there()
            ));
        }
        let time = first_of(&TIME)?;
        // What would be left out without a word, although it was meant.
        let like = |starts: &[&str]| {
            let is = |name: &&String| starts.iter().any(|start| name.starts_with(start));
            names.iter().find(is)
        };
        if let (None, Some(name)) = (time, like(&LIKE_TIME)) {
            return Err(format!(
                "the column {name} is not read; name it time_s and give seconds"
            ));
        }
        if let (None, Some(name)) = (pose[6], like(&["grip"])) {
            return Err(format!(
                "the column {name} is not read; name it gripper and give 0 (open) to 1 (closed)"
            ));
        }
        let mut actions = Vec::new();
        for name in POSE {
            actions.extend(find(&format!("action_{name}"))?);
        }
        let action = <[usize; 7]>::try_from(actions);
        if action.as_ref().is_err_and(|some| !some.is_empty()) {
            return Err(format!(
                "only some of the columns action_x_m … action_rz_rad, action_gripper are there; \
                 give all seven or none; {}",
                there()
            ));
        }
        Ok(Columns {
            pose,
            time,
            action: action.ok(),
            unnamed: names.iter().position(|n| n.is_empty() || n == "unnamed: 0"),
            which: names.iter().position(|n| WHICH.contains(&n.as_str())),
            count: names.len(),
        })
    }

    /// Rows of several arms or episodes are no one's path.
    fn check_one(&self, rows: &[csv_rows::Row]) -> Result<(), (usize, String)> {
        let Some(column) = self.which else {
            return Ok(());
        };
        let cell = |row: &csv_rows::Row| row.1.get(column).unwrap_or_default().to_owned();
        let first = rows.first().map(cell).unwrap_or_default();
        match rows.iter().find(|row| cell(row) != first) {
            None => Ok(()),
            Some(row) => Err((
                row.0,
                format!(
                    "column {} says {:?} here and {first:?} above: give each its own file",
                    column + 1,
                    cell(row)
                ),
            )),
        }
    }

    /// pandas writes its index without a name; one that isn't the rows' numbers is of times.
    fn check_unnamed(&self, rows: &[csv_rows::Row]) -> Result<(), String> {
        let (None, Some(column)) = (self.time, self.unnamed) else {
            return Ok(());
        };
        let cells = rows
            .iter()
            .map(|(_, row)| row.get(column).unwrap_or_default());
        let values: Option<Vec<f64>> = cells.map(csv_rows::number).collect();
        let steps = |is: fn(f64) -> bool| {
            let values = values.as_deref().unwrap_or_default();
            values.len() > 1 && values.windows(2).all(|pair| is(pair[1] - pair[0]))
        };
        if steps(|step| step > 0.0) && !steps(|step| step == 1.0) {
            return Err(format!(
                "the column without a name, number {}, ascends as times do; name it time_s and \
                 give seconds, or take it out",
                column + 1
            ));
        }
        Ok(())
    }

    fn plain(count: usize, rows: &[csv_rows::Row]) -> Result<Self, String> {
        if !(6..=8).contains(&count) {
            return Err(format!(
                "{count} numbers in a row without column names; give x, y, z in metres, rx, ry, \
                 rz in radians, then gripper and time if known"
            ));
        }
        let is_unit = |(_, row): &csv_rows::Row| {
            let cells = (3..7).filter_map(|i| csv_rows::number(row.get(i)?));
            (cells.map(|v| v * v).sum::<f64>() - 1.0).abs() < 2e-3
        };
        if count > 6 && rows.iter().all(is_unit) {
            return Err(
                "numbers 4 to 7 of every row are a quaternion; give rx, ry, rz in radians \
                 (extrinsic xyz Euler angles), then the gripper, or name the columns"
                    .into(),
            );
        }
        Ok(Columns {
            pose: std::array::from_fn(|i| (i < count).then_some(i)),
            time: (count == 8).then_some(7),
            action: None,
            unnamed: None,
            which: None,
            count,
        })
    }

    /// A row with too many cells is shifted somewhere; empty ones at its end don't count. What
    /// is missing in a shorter one is named where it is needed.
    fn count(&self, row: &StringRecord) -> Result<(), String> {
        let cells = row.iter().enumerate();
        let filled = cells.filter(|(_, cell)| !cell.is_empty()).last();
        let filled = filled.map_or(0, |(last, _)| last + 1);
        if filled <= self.count {
            return Ok(());
        }
        let hint = if row.len() == 2 * self.count {
            "; are its decimals written with commas? Then put semicolons between the columns"
        } else {
            ""
        };
        Err(format!(
            "{} cells in a row of {} columns{hint}",
            row.len(),
            self.count
        ))
    }

    fn pose(&self, row: &StringRecord) -> Result<[f64; 7], String> {
        let mut pose = [0.0; 7];
        for (i, column) in self.pose.iter().enumerate() {
            if let Some(column) = column {
                pose[i] = number(row, *column, POSE[i])?;
            }
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
