//! One change of settings from the command line.

use toml::Value;

use crate::diagnostic::{Located, Location, SettingsError};
use crate::renamed::Renamed;
use crate::source_table::{parse, SourceTable};

/// `key.of.it=value`, or what a flag stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// As it was given.
    shown: String,
    /// The keys, joined by dots.
    path: String,
    /// As TOML; checked when the change was made.
    text: String,
}

impl Change {
    /// The change that `--set` gives. A value that is no TOML is taken for text, so that quotes
    /// needn't survive a shell.
    ///
    /// # Errors
    /// When there is no `=`, or no key before it.
    pub fn parse(assignment: &str) -> Result<Self, Located> {
        let shown = format!("--set {assignment}");
        let wrong = |what: &str| Located {
            location: Location::Given(shown.clone()),
            what: what.to_owned(),
            remedy: "write KEY=VALUE, such as planner.samples=200".into(),
        };
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(wrong("there is no value"));
        };
        let (key, value) = (key.trim(), value.trim());
        let quoted = Value::String(value.to_owned());
        let texts = [format!("{key} = {value}"), format!("{key} = {quoted}")];
        let text = texts.into_iter().find(|text| parse(text).is_ok());
        let text = text.ok_or_else(|| wrong("this is no key"))?;
        Ok(Change {
            shown,
            path: key.to_owned(),
            text,
        })
    }

    /// All of them, in their order.
    ///
    /// # Errors
    /// As [`Change::parse`].
    pub fn parse_all(assignments: &[String]) -> Result<Vec<Self>, SettingsError> {
        let changes: Result<_, _> = assignments.iter().map(|a| Change::parse(a)).collect();
        changes.map_err(|fault| SettingsError::Content(vec![fault]))
    }

    /// The change of `path` (plain keys joined by dots) that the flag `flag` stands for.
    pub fn flag(flag: &str, path: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        Change {
            shown: match &value {
                Value::String(text) => format!("{flag} {text}"),
                value => format!("{flag} {value}"),
            },
            path: path.to_owned(),
            text: format!("{path} = {value}"),
        }
    }

    /// The change as a table.
    pub fn table(&self) -> SourceTable<'_> {
        // It was read once already.
        parse(&self.text).unwrap_or_default()
    }

    /// Whether it decides about the value at `path`, perhaps by a name that is in `renamed`.
    pub fn decides(&self, path: &str, renamed: &[Renamed]) -> bool {
        let within = |path: &str, above: &str| {
            path.strip_prefix(above)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let old = renamed.iter().filter(|r| r.new_path() == path);
        within(path, &self.path) || old.into_iter().any(|r| r.old_path() == self.path)
    }

    /// As the location of a fault.
    pub fn location(&self) -> Location {
        Location::Given(self.shown.clone())
    }
}
