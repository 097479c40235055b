//! Keys that used to be called something else.

use std::borrow::Cow;

use toml::de::DeValue;
use toml::Spanned;

use crate::diagnostic::Diagnostic;
use crate::layers::Table;

/// A key's old and new path, keys joined by dots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renamed {
    /// What it was called.
    pub old: &'static str,
    /// What it is called now.
    pub new: &'static str,
}

/// Moves values from old keys to the new ones; a hint for each. Where both are given the old one
/// stays, to be refused as unknown.
pub fn rename(table: &mut Table<'_>, renamed: &[Renamed]) -> Vec<Diagnostic> {
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

fn find<'t, 'a>(table: &'t Table<'a>, path: &str) -> Option<&'t DeValue<'a>> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = table.get(first)?.get_ref();
    match value {
        _ if rest.is_empty() => Some(value),
        DeValue::Table(inner) => find(inner, rest),
        _ => None,
    }
}

fn take<'a>(table: &mut Table<'a>, path: &str) -> Option<Spanned<DeValue<'a>>> {
    match path.split_once('.') {
        None => table.remove(path),
        Some((first, rest)) => match table.get_mut(first)?.get_mut() {
            DeValue::Table(inner) => take(inner, rest),
            _ => None,
        },
    }
}

fn put<'a>(table: &mut Table<'a>, path: &'static str, value: Spanned<DeValue<'a>>) {
    let span = value.span();
    let key = |key| Spanned::new(span.clone(), Cow::Borrowed(key));
    match path.split_once('.') {
        None => {
            table.insert(key(path), value);
        }
        Some((first, rest)) => {
            let empty = || Spanned::new(span.clone(), DeValue::Table(Table::default()));
            let inner = table.entry(key(first)).or_insert_with(empty);
            // Anything but a table is refused when the settings are read.
            if let DeValue::Table(inner) = inner.get_mut() {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::parse;

    const RENAMED: [Renamed; 2] = [
        Renamed {
            old: "planner.unresolved_power",
            new: "planner.residual_power",
        },
        Renamed {
            old: "planner.device",
            new: "model.device",
        },
    ];

    #[test]
    fn old_names_move_and_say_so() {
        let text = "[planner]\nunresolved_power = 2.0\ndevice = \"cpu\"\n";
        let mut table = parse(text).expect("TOML");
        let hints = rename(&mut table, &RENAMED);
        assert_eq!(hints.len(), 2);
        assert_eq!(hints[0].path, "planner.unresolved_power");
        assert!(hints[0].what.contains("`planner.residual_power`"));
        assert!(find(&table, "planner.residual_power").is_some());
        assert!(find(&table, "model.device").is_some());
        assert!(find(&table, "planner.device").is_none());
        assert!(rename(&mut table, &RENAMED).is_empty());
    }

    #[test]
    fn both_names_at_once_are_left_to_be_refused() {
        let text = "planner = { unresolved_power = 2.0, residual_power = 1.0 }\n";
        let mut table = parse(text).expect("TOML");
        assert!(rename(&mut table, &RENAMED).is_empty());
        assert!(find(&table, "planner.unresolved_power").is_some());
    }
}
