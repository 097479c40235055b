//! Tables of poses, as programs write them.

use foresight_planner::{Action, Pose};
use foresight_runs::trajectory_csv::PoseTable;

fn table() -> PoseTable {
    let pose = |i: usize| Pose::from_array(std::array::from_fn(|k| 1.0 / (3 + i + k) as f64));
    let action =
        |i: usize| Action::from_array(std::array::from_fn(|k| 0.1_f32 as f64 / (1 + i + k) as f64));
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
        format!("# {head}\n# s,m,m,m,rad,rad,rad,1\n#\n{rows}"),
        format!("# {head}\n# recorded on 2024-05-01\n{rows}"),
        format!("% {head}\n{rows}"),
        format!("// {head}\n// recorded by hand\n{rows}"),
        format!("# {}\n{rows}", blanks(head)),
        format!("{}\n{rows}", head.replace("time_s", "t_s")),
        format!(",{head}\n0,{}", rows.trim().replace('\n', "\n1,")),
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
fn what_is_no_path_of_one_arm_s_poses_is_refused() {
    let refused = |text: &str| PoseTable::parse(text).expect_err("refused");
    let head = "side,x_m,y_m,z_m,rx_rad,ry_rad,rz_rad,time_s";
    let row = |side: &str, t: f64| format!("{side},0.4,0,0.3,3.1,0,0,{t}\n");
    let arms = |other: &str| {
        let rows = [row("left", 0.0), row(other, 0.0), row("left", 0.1)].concat();
        format!("{head}\n{rows}")
    };
    assert!(PoseTable::parse(&arms("left")).is_ok());
    let (line, what) = refused(&arms("right"));
    assert!(line == 3 && what.contains("own file"), "{line} {what}");
    let (_, what) = refused(&format!("{head}\n{}{}", row("left", 2.0), row("left", 2.0)));
    assert!(what.contains("every pose has the time 2 s"), "{what}");
    let half = std::f64::consts::FRAC_1_SQRT_2;
    for more in ["", ",0.5"] {
        let row = |x: f64| format!("{x},0,0.3,{half},{half},0,0{more}\n");
        let (_, what) = refused(&[row(0.4), row(0.41)].concat());
        assert!(what.contains("quaternion"), "{what}");
    }
}

#[test]
fn columns_of_times_are_never_dropped() {
    let head = "x_m,y_m,z_m,rx_rad,ry_rad,rz_rad,gripper";
    let row = "0.45,0.05,0.25,3.1,0.01,0.1,0.5";
    let text = |name: &str, times: [&str; 3]| {
        let rows = times.map(|time| format!("{time},{row}\n"));
        format!("{name},{head}\n{}", rows.concat())
    };
    for name in ["t_ms", "time_ms", "stamp", "timestamp", "t [s]"] {
        let (line, what) = PoseTable::parse(&text(name, ["0", "1", "2"])).expect_err(name);
        assert!(line == 1 && what.contains(name), "{name}: {what}");
    }
    let (_, what) = PoseTable::parse(&text("", ["0.0", "0.1", "0.2"])).expect_err("times");
    assert!(what.contains("without a name, number 1"), "{what}");
    // The rows' numbers, as pandas writes them.
    let table = PoseTable::parse(&text("", ["4", "5", "6"])).unwrap();
    assert_eq!((table.poses.len(), table.time_s.len()), (3, 0));
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
        (rows(["0", "100"], "0.4,0,0.2,3.1,0,0,0"), 1, "in ms"),
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
