//! Settings come together from layers, and every fault names the one it came with.

use std::path::Path;

use foresight_settings::{parse, SettingsError};
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    name: String,
    inner: Inner,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    rate: f64,
    list: Vec<usize>,
    #[serde(default)]
    pairs: Vec<[f64; 2]>,
}

const DEFAULTS: &str = "name = \"a\"\n[inner]\nrate = 0.5\nlist = [1, 2]\n";

fn layered(file: Option<&Path>, changes: &[String]) -> Result<Outer, SettingsError> {
    let defaults = parse(DEFAULTS).expect("TOML");
    foresight_settings::layered(&defaults, &[], file, changes).map(|(outer, _)| outer)
}

fn set(changes: &[&str]) -> Result<Outer, SettingsError> {
    let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
    layered(None, &changes)
}

#[test]
fn changes_apply_in_order_and_wrong_ones_are_named() {
    let settings = set(&["inner.rate=5", "name=b c", "inner.list=[3]", "inner.rate=6"]);
    let inner = Inner {
        rate: 6.0,
        list: vec![3],
        pairs: vec![],
    };
    let name = "b c".to_owned();
    assert_eq!(settings.expect("settings"), Outer { name, inner });
    for wrong in [
        "inner.rat=5",
        "inner.rate",
        "inner.rate=fast",
        "=3",
        "inner=1",
    ] {
        let error = set(&[wrong]).expect_err("refused").to_string();
        assert!(error.contains(wrong), "{error}");
    }
    let error = set(&["inner.rat=5"]).expect_err("refused").to_string();
    assert!(error.contains("did you mean `rate`"), "{error}");
}

#[test]
fn a_list_of_more_values_than_are_read_is_refused() {
    let pairs = |given: &str| set(&["inner.list=[1, 2, 3, 4]", &format!("inner.pairs={given}")]);
    let settings = pairs("[[1, 2], [3, 4.5], [5, 6]]").expect("settings");
    assert_eq!(settings.inner.list, [1, 2, 3, 4]);
    assert_eq!(settings.inner.pairs, [[1.0, 2.0], [3.0, 4.5], [5.0, 6.0]]);
    for wrong in ["[[1, 2], [3, 4, 5]]", "[[1, 2], [3, 4, \"five\"]]"] {
        let error = pairs(wrong).expect_err("refused").to_string();
        let said = error.contains(wrong) && error.contains("inner.pairs.1 has ");
        assert!(said && error.contains("values, where 2 belong"), "{error}");
    }
}

#[test]
fn a_file_is_named_with_its_line() {
    let folder = std::env::temp_dir().join(format!("foresight-settings-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("own.toml");
    let of = |text: &str| {
        std::fs::write(&file, text).expect("written");
        layered(Some(&file), &["name=c".into()])
    };
    let settings = of("# mine\n[inner]\nrate = 2\n").expect("settings");
    assert_eq!((settings.inner.rate, settings.name.as_str()), (2.0, "c"));
    assert_eq!(settings.inner.list, [1, 2]);
    let error = of("# mine\n[inner]\nrat = 2\n").expect_err("refused");
    assert!(error.to_string().contains("own.toml:3:1: "), "{error}");
    let comma = of("name = \"a\"\n[inner]\nrate = 0,5\n").expect_err("refused");
    assert!(comma.to_string().contains("TOML syntax"), "{comma}");
    let windows = of("name = \"C:\\models\"\n").expect_err("refused");
    assert!(windows.to_string().contains("single quotes"), "{windows}");
    std::fs::write(&file, b"name = \"\xdcbung\"\n").expect("written");
    let latin = layered(Some(&file), &[]).expect_err("refused").to_string();
    assert!(
        latin.contains("own.toml:1:1: its text is not UTF-8"),
        "{latin}"
    );
    let missing = layered(Some(&folder.join("none.toml")), &[]);
    let error = missing.expect_err("refused").to_string();
    assert!(error.contains("none.toml"), "{error}");
    std::fs::remove_dir_all(&folder).expect("removed");
}
