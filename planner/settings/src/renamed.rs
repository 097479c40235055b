//! Keys that used to be called something else.

use std::borrow::Cow;

use toml::de::DeValue;
use toml::Spanned;

use crate::diagnostic::Diagnostic;
use crate::source_table::SourceTable;

/// A key's old and new path, keys joined by dots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renamed {
    old: &'static str,
    new: &'static str,
}

impl Renamed {
    /// `old` is called `new` now.
    pub const fn new(old: &'static str, new: &'static str) -> Self {
        Renamed { old, new }
    }

    /// What it was called.
    pub(crate) fn old_path(&self) -> &'static str {
        self.old
    }

    /// What it is called.
    pub(crate) fn new_path(&self) -> &'static str {
        self.new
    }
}

/// Moves values from old keys to the new ones; a hint for each. Where both are given the old one
/// stays, to be refused as unknown.
pub fn rename(table: &mut SourceTable<'_>, renamed: &[Renamed]) -> Vec<Diagnostic> {
    let moved = renamed.iter().filter(|r| {
        let free = find(table, r.new).is_none();
        let value = free.then(|| take(table, r.old)).flatten();
        value.map(|value| put(table, r.new, value)).is_some()
    });
    moved
        .map(|Renamed { old, new }| Diagnostic {
            path: (*old).into(),
            what: format!("`{old}` is now called `{new}`"),
            remedy: "rename it; the old name goes on working".into(),
        })
        .collect()
}

fn find<'t, 'a>(table: &'t SourceTable<'a>, path: &str) -> Option<&'t DeValue<'a>> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = table.get(first)?.get_ref();
    match value {
        _ if rest.is_empty() => Some(value),
        DeValue::Table(inner) => find(inner, rest),
        _ => None,
    }
}

fn take<'a>(table: &mut SourceTable<'a>, path: &str) -> Option<Spanned<DeValue<'a>>> {
    match path.split_once('.') {
        None => table.remove(path),
        Some((first, rest)) => match table.get_mut(first)?.get_mut() {
            DeValue::Table(inner) => take(inner, rest),
            _ => None,
        },
    }
}

fn put<'a>(table: &mut SourceTable<'a>, path: &'static str, value: Spanned<DeValue<'a>>) {
    let span = value.span();
    let key = |key| Spanned::new(span.clone(), Cow::Borrowed(key));
    match path.split_once('.') {
        None => {
            table.insert(key(path), value);
        }
        Some((first, rest)) => {
            let empty = || Spanned::new(span.clone(), DeValue::Table(SourceTable::default()));
            let inner = table.entry(key(first)).or_insert_with(empty);
            // Anything but a table is refused when the settings are read.
            if let DeValue::Table(inner) = inner.get_mut() {
                put(inner, rest, value);
            }
        }
    }
}
