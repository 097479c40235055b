//! Tables laid over named ones.

use foresight_settings::{parse, read, Diagnostic, Presets};

const PRESETS: Presets = Presets {
    tables: &[
        ("plain", "samples = 800\nspread = 1.0"),
        ("quick", "preset = \"plain\"\nsamples = 64"),
    ],
    default: "quick",
};

fn resolved(text: &str) -> Result<(String, i64, f64), Diagnostic> {
    let mut table = parse(text).expect("TOML");
    PRESETS.lay_under(&mut table)?;
    let table: toml::Table = read(table).expect("values");
    Ok((
        table["preset"].as_str().expect("a name").to_owned(),
        table["samples"].as_integer().expect("a number"),
        table["spread"].as_float().expect("a number"),
    ))
}

#[test]
fn a_table_is_laid_over_its_preset_and_that_over_its_own() {
    assert_eq!(resolved(""), Ok(("quick".into(), 64, 1.0)));
    let own = resolved("spread = 0.5");
    assert_eq!(own, Ok(("quick".into(), 64, 0.5)));
    let plain = resolved("preset = \"plain\"");
    assert_eq!(plain, Ok(("plain".into(), 800, 1.0)));
}

#[test]
fn an_unknown_name_gets_the_nearest() {
    let fault = resolved("preset = \"quik\"").expect_err("refused");
    assert_eq!(fault.path, "preset");
    assert!(fault.what.contains("quik"));
    assert!(fault.remedy.contains("did you mean `quick`"));
    assert!(fault.remedy.contains("plain, quick"));
}
