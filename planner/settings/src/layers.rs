//! Tables laid over one another, without losing where in its text each value stands.

use std::borrow::Cow;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue, Deserializer};
use toml::Spanned;

use crate::change::Change;
use crate::diagnostic::{Diagnostic, Located, Location, Remedies, SettingsError};

/// A TOML table whose keys and values know their place in the text `'a` they were read from.
pub type Table<'a> = DeTable<'a>;

/// The table that a text is.
///
/// # Errors
/// What the TOML reader complains about.
pub fn parse(text: &str) -> Result<Table<'_>, toml::de::Error> {
    Table::parse(text).map(Spanned::into_inner)
}

/// Values of `over` in place of those of `table`, table by table.
pub fn lay_over<'a>(table: &mut Table<'a>, over: Table<'a>) {
    for (key, mut value) in over {
        // Removed first: a map keeps the key it has, and with it the place of the value replaced.
        let there = table.remove(key.get_ref().as_ref());
        if let (Some(there), DeValue::Table(_)) = (there, value.get_ref()) {
            if let DeValue::Table(mut under) = there.into_inner() {
                if let DeValue::Table(inner) = value.get_mut() {
                    lay_over(&mut under, std::mem::take(inner));
                    *inner = under;
                }
            }
        }
        table.insert(key, value);
    }
}

/// Values of `under` wherever `table` says nothing.
pub fn lay_under<'a>(table: &mut Table<'a>, under: Table<'a>) {
    let over = std::mem::replace(table, under);
    lay_over(table, over);
}

/// The table `key` in `table`, put there when it is absent; `None` when something else stands there.
pub fn inner_table<'t, 'a>(
    table: &'t mut Table<'a>,
    key: &'static str,
) -> Option<&'t mut Table<'a>> {
    let empty = || Spanned::new(0..0, DeValue::Table(Table::default()));
    let key = Spanned::new(0..0, Cow::Borrowed(key));
    match table.entry(key).or_insert_with(empty).get_mut() {
        DeValue::Table(inner) => Some(inner),
        _ => None,
    }
}

/// What a table says, as a value of type `T`.
///
/// # Errors
/// What serde complains about, with the place in the text of whatever is wrong.
pub fn read<T: DeserializeOwned>(table: Table<'_>) -> Result<T, toml::de::Error> {
    T::deserialize(Deserializer::from(Spanned::new(0..0, table)))
}

/// The defaults, `file` over them, and `changes`, each `key.of.it=value`, over that.
///
/// # Errors
/// [`SettingsError`] naming the line of the file or the change, and what is wrong with it.
pub fn layered<T: DeserializeOwned>(
    defaults: &'static str,
    file: Option<&Path>,
    changes: &[String],
) -> Result<T, SettingsError> {
    let text = file.map(read_text).transpose()?;
    let file = file.zip(text.as_deref());
    let changes = Change::parse_all(changes)?;
    let complete = |table: &mut Table<'_>| {
        let defaults = parse(defaults).map_err(|e| Diagnostic::new("", e.to_string(), ""))?;
        lay_under(table, defaults);
        Ok(())
    };
    layered_with(file, &changes, &complete, &Remedies::default())
}

/// What makes a table complete before it is read, such as [`Presets::lay_under`].
///
/// [`Presets::lay_under`]: crate::Presets::lay_under
pub type Complete<'c> = &'c dyn Fn(&mut Table<'_>) -> Result<(), Diagnostic>;

/// The text of `file` and `changes` over it, each layer made `complete` and read, so that what is
/// wrong is told of the layer it came with.
///
/// # Errors
/// [`SettingsError::Content`] naming the line of the file or the change.
pub fn layered_with<T: DeserializeOwned>(
    file: Option<(&Path, &str)>,
    changes: &[Change],
    complete: Complete<'_>,
    remedies: &Remedies,
) -> Result<T, SettingsError> {
    let (path, text) = file.unwrap_or((Path::new(""), ""));
    let fault = |location, e: &toml::de::Error| Located::from_toml(location, text, e, remedies);
    let read_layer = |table: &Table<'_>, change: Option<&Change>| -> Result<T, Located> {
        let mut table = table.clone();
        let location = || change.map_or_else(|| Location::file(path), Change::location);
        complete(&mut table).map_err(|fault| match change {
            Some(change) => fault.at(change.location()),
            None => fault.locate(path, text, &[]),
        })?;
        read(table).map_err(|e| fault(location(), &e))
    };
    let one = |fault| SettingsError::Content(vec![fault]);
    let mut table = parse(text).map_err(|e| one(fault(Location::file(path), &e)))?;
    let mut value = read_layer(&table, None).map_err(one)?;
    for change in changes {
        lay_over(&mut table, change.table());
        value = read_layer(&table, Some(change)).map_err(one)?;
    }
    Ok(value)
}

/// The text of a file of settings.
///
/// # Errors
/// [`SettingsError::Read`].
pub fn read_text(file: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(file).map_err(|source| SettingsError::Read {
        path: file.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

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
    }

    const DEFAULTS: &str = "name = \"a\"\n[inner]\nrate = 0.5\nlist = [1, 2]\n";

    fn set(changes: &[&str]) -> Result<Outer, SettingsError> {
        let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
        layered(DEFAULTS, None, &changes)
    }

    #[test]
    fn changes_apply_in_order_and_wrong_ones_are_named() {
        let settings = set(&["inner.rate=5", "name=b c", "inner.list=[3]", "inner.rate=6"]);
        let inner = Inner {
            rate: 6.0,
            list: vec![3],
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
    fn a_file_is_named_with_its_line() {
        let folder =
            std::env::temp_dir().join(format!("foresight-settings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("own.toml");
        let of = |text: &str| {
            std::fs::write(&file, text).expect("written");
            layered::<Outer>(DEFAULTS, Some(&file), &["name=c".into()])
        };
        let settings = of("# mine\n[inner]\nrate = 2\n").expect("settings");
        assert_eq!((settings.inner.rate, settings.name.as_str()), (2.0, "c"));
        assert_eq!(settings.inner.list, [1, 2]);
        let error = of("# mine\n[inner]\nrat = 2\n").expect_err("refused");
        assert!(error.to_string().contains("own.toml:3:1: "), "{error}");
        let missing = layered::<Outer>(DEFAULTS, Some(&folder.join("none.toml")), &[]);
        let error = missing.expect_err("refused").to_string();
        assert!(error.contains("none.toml"), "{error}");
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
