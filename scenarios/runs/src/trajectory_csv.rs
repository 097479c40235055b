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
//! | `time_s` | when, optional (also `t`, `time`) |
//! | `action_x_m` … `action_rz_rad`, `action_gripper` | the action taken from here, optional; empty in the last row |
//!
//! Column names may stand behind a `#`, as NumPy writes them. A file without any is read as
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
const TIME: [&str; 3] = ["time_s", "time", "t"];
/// Poses farther apart than this are timed in another unit, s; a large model may think for minutes.
const LONGEST_STEP_S: f64 = 1e4;

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
        let CsvRows { comment, rows } = CsvRows::cut(text)?;
        let Some((line, first)) = rows.first() else {
            return Err((1, "the file has no poses".into()));
        };
        let line = *line;
        let is_head = |row: &StringRecord| {
            let named = |c: char| c.is_alphabetic() && c != 'e' && c != 'E';
            row.iter().any(|cell| cell.contains(named))
        };
        let comment = comment.filter(|(_, row)| row.len() == first.len() && is_head(row));
        let (columns, rows) = match comment {
            _ if is_head(first) => {
                let columns = Columns::named(first).map_err(|what| (line, what))?;
                (columns, &rows[1..])
            }
            Some((line, head)) => {
                let columns = Columns::named(&head).map_err(|what| (line, what))?;
                (columns, &rows[..])
            }
            None => {
                let columns = Columns::plain(first.len()).map_err(|what| (line, what))?;
                (columns, &rows[..])
            }
        };
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
            let step_s = (end - start) / (table.time_s.len() - 1) as f64;
            if step_s > LONGEST_STEP_S {
                let what = format!(
                    "the poses are {step_s} s apart; the times are probably in µs or ns: give seconds"
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
        let like = |start: &str| names.iter().find(|name| name.starts_with(start));
        if let (None, Some(name)) = (time, like("time")) {
            return Err(format!(
                "the column {name} is not read; name it time_s and give seconds"
            ));
        }
        if let (None, Some(name)) = (pose[6], like("grip")) {
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
            count: names.len(),
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
        let named = "t;z;y;x;rz;ry;rx\n0;.3;.2;.1;6;5;4\n0.5;.3;.2;.1;6;5;4\n";
        let table = PoseTable::parse(named).unwrap();
        assert_eq!(
            table.poses[0].to_array(),
            [0.1, 0.2, 0.3, 4.0, 5.0, 6.0, 0.0]
        );
        assert_eq!(table.time_s, [0.0, 0.5]);
        let turns = named.replace("rz;ry;rx", "yaw;Pitch;roll_rad");
        assert_eq!(PoseTable::parse(&turns), Ok(table));
        let plain = "# x y z ...\n.1,.2,.3,4,5,6,1e-1\n.1,.2,.3,4,5,6,0.2\n";
        let table = PoseTable::parse(plain).unwrap();
        assert_eq!(table.poses[1].gripper, 0.2);
    }

    #[test]
    fn tables_are_read_as_programs_write_them() {
        let head = "time_s,x_m,y_m,z_m,rx_rad,ry_rad,rz_rad,gripper";
        let rows = "0.0,0.45,0.05,0.25,3.1,0.01,0.1,0.5\n0.1,0.452,0.05,0.25,3.1,0.01,0.1,0.5\n";
        let plain = PoseTable::parse(&format!("{head}\n{rows}")).unwrap();
        assert_eq!(plain.time_s, [0.0, 0.1]);
        assert_eq!(plain.poses[1].position_m, [0.452, 0.05, 0.25]);
        let semicolons = |text: &str| text.replace(',', ";");
        let commas = semicolons(rows).replace('.', ",");
        let quoted = |text: &str| {
            let lines = text
                .lines()
                .map(|l| format!("\"{}\"\n", l.replace(',', "\",\"")));
            lines.collect::<String>()
        };
        let (named, blanks) = (semicolons(head), |text: &str| text.replace(',', "  "));
        for text in [
            format!("\u{feff}{head}\r\n{rows}"),
            format!("\u{feff}{}", quoted(&format!("{head}\n{rows}"))),
            format!("# {head}\n{rows}"),
            format!("# recorded on Monday, 5 Hz\n#{head}\n{rows}"),
            format!("# {}\n{}", blanks(head), blanks(rows)),
            format!("{}\n{}", blanks(head), blanks(rows)),
            format!("{named}\n{commas}"),
            format!("sep=;\n{named}\n{commas}"),
            format!("{named};\n{}", commas.replace('\n', ";\n")),
            format!(
                "{head}\n\"{}\"\n",
                commas.trim().replace(';', "\",\"").replace('\n', "\"\n\"")
            ),
        ] {
            assert_eq!(PoseTable::parse(&text), Ok(plain.clone()), "{text}");
        }
    }

    #[test]
    fn cells_that_are_lost_or_shifted_are_faults() {
        let head = "time_s,x_m,y_m,z_m,rx_rad,ry_rad,rz_rad,gripper";
        let row = "0.0,0.45,0.05,0.25,3.1,0.01,0.1,0.5";
        let commas = row.replace('.', ",");
        for (text, line, words) in [
            (format!("{head}\n{commas}\n{commas}\n"), 2, "semicolons"),
            (
                format!("{head}\n7,{row}\n7,{row}\n"),
                2,
                "9 cells in a row of 8",
            ),
            (format!("{head}\n{row}\n0.1,0.45,0.05\n"), 3, "z_m is \"\""),
            (
                format!("# {head},y_m\n{row},1\n{row},1\n"),
                1,
                "y_m is there twice",
            ),
            (
                format!("{}\n{row}\n{row}\n", head.replace("time_s", "time_ms")),
                1,
                "time_ms",
            ),
            (
                format!("{}\n{row}\n{row}\n", head.replace("gripper", "gripper_mm")),
                1,
                "gripper_mm",
            ),
            (
                format!("{}\n{row}\n{row}\n", head.replace("x_m", "x_mm")),
                1,
                "x_mm",
            ),
            (
                format!("{head},action_x_m\n{row},0\n{row},\n"),
                1,
                "all seven",
            ),
        ] {
            let (at, what) = PoseTable::parse(&text).expect_err(&text);
            assert!(at == line && what.contains(words), "{text:?}: {at} {what}");
        }
    }

    #[test]
    fn other_units_are_refused_by_name() {
        let rows = |times: [&str; 2], pose: &str| {
            let head = "time_s,x,y,z,rx,ry,rz,gripper";
            format!("{head}\n{},{pose}\n{},{pose}\n", times[0], times[1])
        };
        for (text, line, words) in [
            (
                rows(["0", "0.1"], "0.45,0.05,0.25,178.0,0.6,5.0,0"),
                2,
                "degrees",
            ),
            (rows(["0", "0.1"], "450,50,250,3.1,0,0,0"), 2, "millimetres"),
            (rows(["0", "0.1"], "0.4,0,0.2,3.1,0,0,80"), 2, "percent"),
            (rows(["0", "100000000"], "0.4,0,0.2,3.1,0,0,0"), 1, "ns"),
        ] {
            let (at, what) = PoseTable::parse(&text).expect_err(&text);
            assert!(at == line && what.contains(words), "{text:?}: {at} {what}");
        }
    }

    #[test]
    fn faults_are_named_with_their_line() {
        for (text, line, words) in [
            ("", 1, "no poses"),
            ("x_m,y_m\n1,2\n", 1, "no column z_m"),
            (".1,.2,.3,4,5,6\n.1,.2,.3,x,5,6\n", 2, "not a number"),
            (
                "# a\n\n.1,.2,.3,4,5,6\n # b\n.1,.2,.3,x,5,6\n",
                5,
                "not a number",
            ),
            (".1,.2,.3,4,5,6,2\n.1,.2,.3,4,5,6,0\n", 1, "outside 0"),
            (".1,.2,.3,4,5,6\n", 1, "at least two"),
            ("1,2,3\n", 1, "3 numbers"),
            ("1,2,3,4,5,inf\n1,2,3,4,5,6\n", 1, "no column"),
            (".1,.2,.3,4,5,6,0,1\n.1,.2,.3,4,5,6,0,0\n", 2, "backwards"),
        ] {
            let (at, what) = PoseTable::parse(text).expect_err(text);
            assert!(at == line && what.contains(words), "{text:?}: {at} {what}");
        }
    }
}
