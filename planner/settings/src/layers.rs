//! Settings from layers: what is under all, a file, changes from the command line.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::DeValue;
use toml::Spanned;

use crate::change::Change;
use crate::diagnostic::{Diagnostic, Located, Location, Remedies, SettingsError};
use crate::renamed::{rename, Renamed};
use crate::source_table::{lay_over, lay_under, parse, read, SourceTable};

/// How settings of one kind come together.
#[derive(Clone, Copy)]
pub struct Dialect<'d> {
    /// Keys that used to be called something else.
    pub renamed: &'d [Renamed],
    /// Puts what is under the first layer, such as [`crate::Presets::lay_under`].
    pub complete: &'d dyn Fn(&mut SourceTable<'_>) -> Result<(), Diagnostic>,
    /// What to do about what serde complains about.
    pub remedies: Remedies,
}

impl Dialect<'_> {
    /// The text of `file` and `changes` over it, each layer read, so that what is wrong is told of
    /// the layer it came with; and hints at keys that are called something else by now.
    ///
    /// # Errors
    /// [`SettingsError::Content`] naming the line of the file or the change.
    pub fn layered<T: DeserializeOwned>(
        &self,
        file: Option<(&Path, &str)>,
        changes: &[Change],
    ) -> Result<(T, Vec<Located>), SettingsError> {
        let (path, text) = file.unwrap_or((Path::new(""), ""));
        let mut hints = Vec::new();
        let mut table = SourceTable::default();
        let mut latest = None;
        for change in std::iter::once(None).chain(changes.iter().map(Some)) {
            let locate = |fault: Diagnostic| match change {
                Some(change) => fault.at(change.location()),
                None => fault.locate(path, text),
            };
            let refused = |e: toml::de::Error| {
                let location = change.map_or_else(|| Location::file(path), Change::location);
                let fault = Located::from_toml(location, text, &e, &self.remedies);
                SettingsError::Content(vec![fault])
            };
            let mut over = match change {
                Some(change) => change.table(),
                None => parse(text).map_err(refused)?,
            };
            hints.extend(rename(&mut over, self.renamed).into_iter().map(locate));
            lay_over(&mut table, over);
            let mut whole = table.clone();
            let completed = (self.complete)(&mut whole);
            completed.map_err(|fault| SettingsError::Content(vec![locate(fault)]))?;
            latest = Some((read(whole.clone()).map_err(refused)?, whole));
        }
        // There always is a first layer.
        let nothing = || SettingsError::Content(Vec::new());
        let (value, whole) = latest.ok_or_else(nothing)?;
        let still = |other: DeValue<'_>| match other {
            DeValue::Table(table) => read::<T>(table).is_ok(),
            _ => false,
        };
        let overlong = overlong(&DeValue::Table(whole), "", &still);
        check(overlong.into_iter().collect(), file, changes, self.renamed)?;
        Ok((value, hints))
    }
}

/// The first list within `value` that holds more than it is read into: the reader takes the beginning
/// and passes over the rest, whatever stands there. `still` says whether all is read with another
/// value in this one's place.
fn overlong<'a>(
    value: &DeValue<'a>,
    path: &str,
    still: &dyn Fn(DeValue<'a>) -> bool,
) -> Option<Diagnostic> {
    let inside = |key: &str| format!("{path}.{key}").trim_matches('.').to_owned();
    match value {
        DeValue::Table(table) => table.iter().find_map(|(key, item)| {
            overlong(item.get_ref(), &inside(key.get_ref()), &|other| {
                let mut table = table.clone();
                table.insert(key.clone(), Spanned::new(0..0, other));
                still(DeValue::Table(table))
            })
        }),
        DeValue::Array(items) => {
            let with = |i: usize, other: DeValue<'a>| {
                let other = Spanned::new(0..0, other);
                let put = items.iter().enumerate();
                let put = put.map(|(k, item)| if k == i { &other } else { item });
                still(DeValue::Array(put.cloned().collect()))
            };
            let passed_over = |i: &usize| with(*i, DeValue::Boolean(true));
            let last = items.len().checked_sub(1)?;
            if items[last].get_ref().is_bool() || !passed_over(&last) {
                return items.iter().enumerate().find_map(|(i, item)| {
                    overlong(item.get_ref(), &inside(&i.to_string()), &|o| with(i, o))
                });
            }
            let read = (0..last).find(passed_over).unwrap_or(last);
            let what = format!("{path} has {} values, where {read} belong", items.len());
            (read > 0).then(|| Diagnostic::new(path, what, format!("give {read}")))
        }
        _ => None,
    }
}

/// `defaults`, `file` over them, and `changes`, each `key.of.it=value`, over that; and hints at keys
/// that are called something else by now.
///
/// # Errors
/// [`SettingsError`] naming the line of the file or the change, and what is wrong with it.
pub fn layered<T: DeserializeOwned>(
    defaults: &SourceTable<'static>,
    renamed: &[Renamed],
    file: Option<&Path>,
    changes: &[String],
) -> Result<(T, Vec<Located>), SettingsError> {
    let text = file.map(read_text).transpose()?;
    let dialect = Dialect {
        renamed,
        complete: &|table| {
            lay_under(table, defaults.clone());
            Ok(())
        },
        remedies: Remedies::default(),
    };
    dialect.layered(file.zip(text.as_deref()), &Change::parse_all(changes)?)
}

/// The faults in the order of their locations, where there are any: each at the last change that
/// decides about it, by its name or one in `renamed`, else in the file.
///
/// # Errors
/// [`SettingsError::Content`] with all of them.
pub fn check(
    faults: Vec<Diagnostic>,
    file: Option<(&Path, &str)>,
    changes: &[Change],
    renamed: &[Renamed],
) -> Result<(), SettingsError> {
    let (file, text) = file.unwrap_or((Path::new(""), ""));
    let locate = |fault: Diagnostic| {
        let change = changes
            .iter()
            .rev()
            .find(|c| c.decides(&fault.path, renamed));
        match change {
            Some(change) => fault.at(change.location()),
            None => fault.locate(file, text),
        }
    };
    let mut located: Vec<Located> = faults.into_iter().map(locate).collect();
    located.sort_by(|a, b| a.location.cmp(&b.location));
    if located.is_empty() {
        Ok(())
    } else {
        Err(SettingsError::Content(located))
    }
}

/// The text of a file of settings.
///
/// # Errors
/// [`SettingsError::Read`].
pub fn read_text(file: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(file).map_err(|source| {
        if source.kind() == std::io::ErrorKind::InvalidData {
            let fault = Diagnostic::new("", "its text is not UTF-8", "save it as UTF-8");
            return SettingsError::Content(vec![fault.at(Location::file(file))]);
        }
        SettingsError::Read {
            path: file.to_owned(),
            source,
        }
    })
}
