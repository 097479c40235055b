//! What is wrong with settings: where, what, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use strsim::levenshtein;
use toml::de::{DeTable, DeValue};

/// A fault, or a hint, at a place given by keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The keys, joined by dots; entries of lists counted from 0: `subgoal.1.image`.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Diagnostic {
    /// A fault.
    pub fn new(
        path: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Diagnostic {
            path: path.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// The same within the table `table`.
    pub fn within(mut self, table: &str) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        self.path = format!("{table}{separator}{}", self.path);
        self
    }

    /// At its place in `text`, the content of `file`; at the nearest table above it when the key is
    /// absent, and at its path where there is no file.
    pub fn locate(self, file: &Path, text: &str) -> Located {
        let location = if file.as_os_str().is_empty() {
            Location::Given(self.path.clone())
        } else {
            Location::in_file(file, text, offset_of(text, &self.path))
        };
        self.at(location)
    }

    /// At this location.
    pub fn at(self, location: Location) -> Located {
        Located {
            location,
            what: self.what,
            remedy: self.remedy,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sentence(f, &self.path, &self.what, &self.remedy)
    }
}

/// A [`Diagnostic`] whose location is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Where.
    pub location: Location,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// Where something stands; files come before what was given, and lines in their order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// In a file.
    File {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// On the command line, as it was given.
    Given(String),
}

impl Location {
    /// The beginning of a file.
    pub fn file(file: &Path) -> Self {
        Location::in_file(file, "", 0)
    }

    /// At a byte of `text`, the content of `file`.
    fn in_file(file: &Path, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        Location::File {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1,
        }
    }

    /// The line, where it is in a file.
    pub fn line(&self) -> Option<usize> {
        match self {
            Location::File { line, .. } => Some(*line),
            Location::Given(_) => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File { file, line, column } => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            Location::Given(given) => f.write_str(given),
        }
    }
}

impl Located {
    /// What the TOML reader or serde complained about, with a remedy. The line is that of `text`
    /// where `location` is in a file.
    pub fn from_toml(
        location: Location,
        text: &str,
        error: &toml::de::Error,
        remedies: &Remedies,
    ) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let complaint = error.message().trim();
        let remedy = remedies.of(complaint);
        let (location, key) = match location {
            Location::File { file, .. } => (
                Location::in_file(&file, text, offset),
                key_before(text, offset),
            ),
            given => (given, None),
        };
        let what = match key {
            Some(key) => format!("{key}: {complaint}"),
            None => complaint.to_owned(),
        };
        Located {
            location,
            what,
            remedy,
        }
    }
}

/// The key whose value begins at a byte of `text`, where it stands on the same line: the reader
/// says what it found instead of a value, not of which.
fn key_before(text: &str, offset: usize) -> Option<&str> {
    let line = text.get(..offset)?.rsplit('\n').next()?;
    let (key, rest) = line.split_once('=')?;
    let key = key.trim();
    (rest.trim().is_empty() && !key.is_empty() && !key.starts_with('#')).then_some(key)
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sentence(f, &self.location, &self.what, &self.remedy)
    }
}

fn sentence(
    f: &mut fmt::Formatter<'_>,
    location: &dyn fmt::Display,
    what: &str,
    remedy: &str,
) -> fmt::Result {
    write!(f, "{location}: {what}")?;
    if !remedy.is_empty() {
        write!(f, "; {remedy}")?;
    }
    Ok(())
}

/// Why settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read.
    #[error("can't read {}: {source}; give the path of a .toml file", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The content is wrong: every fault found.
    #[error("{}", lines(.0))]
    Content(Vec<Located>),
}

fn lines(faults: &[Located]) -> String {
    let lines: Vec<String> = faults.iter().map(Located::to_string).collect();
    lines.join("\n")
}

/// Remedies for serde's complaints that only whoever owns the settings knows.
#[derive(Debug, Clone, Copy)]
pub struct Remedies {
    /// For a value of the wrong type.
    pub wrong_type: &'static str,
    /// For keys that are missing, by the key.
    pub missing: &'static [(&'static str, &'static str)],
}

impl Default for Remedies {
    fn default() -> Self {
        Remedies {
            wrong_type: "give a value of that type",
            missing: &[],
        }
    }
}

impl Remedies {
    /// A hint for one of serde's sentences; it says no more than those.
    fn of(&self, what: &str) -> String {
        let in_variant = what.strip_prefix("unexpected keys in table: ");
        if let Some((wrong, known)) = in_variant.and_then(|w| w.split_once(", available keys: ")) {
            let known: Vec<&str> = known.split(", ").collect();
            return known_key(wrong.split(", ").next().unwrap_or(wrong), &known);
        }
        // What is quoted in these is the value, not a name.
        if what.starts_with("invalid type") || what.starts_with("invalid value") {
            return self.wrong_type.into();
        }
        if what.contains("escape") {
            return "write the \\ of a path as / or \\\\, or put it between single quotes".into();
        }
        let mut quoted = what.split('`').skip(1).step_by(2);
        // Elsewhere what is quoted is syntax.
        let names = what.starts_with("unknown ") || what.starts_with("missing field");
        let Some(first) = quoted.next().filter(|_| names) else {
            return "check the TOML syntax here, and in the reference what this key takes".into();
        };
        if what.starts_with("missing field") {
            let told = self.missing.iter().find(|(key, _)| *key == first);
            return told.map_or_else(|| format!("add `{first}`"), |(_, remedy)| (*remedy).into());
        }
        let known: Vec<&str> = quoted.collect();
        known_key(first, &known)
    }
}

/// What to do about a key that isn't known.
fn known_key(wrong: &str, known: &[&str]) -> String {
    match nearest(wrong, known) {
        Some(name) => {
            format!("did you mean `{name}`? Names carry their units (m, rad, s, px)")
        }
        None => "remove it, or use one of the names listed".into(),
    }
}

/// The known name that was probably meant.
pub(crate) fn nearest<'k>(wrong: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = known.iter().min_by_key(|name| levenshtein(wrong, name));
    let near = |name: &&&str| levenshtein(wrong, name) <= wrong.len().max(4) / 2;
    name.filter(near).copied()
}

/// Byte offset of the value at a path; of the deepest existing table on the way otherwise.
fn offset_of(text: &str, path: &str) -> usize {
    let Ok(root) = DeTable::parse(text) else {
        return 0;
    };
    let mut at = DeValue::Table(root.into_inner());
    let mut offset = 0;
    for key in path.split('.') {
        let (span, next) = match at {
            DeValue::Table(mut table) => match table.remove_entry(key) {
                Some((name, value)) => (name.span(), value),
                None => break,
            },
            DeValue::Array(items) => {
                let index = key.parse::<usize>().ok();
                match index.and_then(|i| items.get(i).cloned()) {
                    Some(value) => (value.span(), value),
                    None => break,
                }
            }
            _ => break,
        };
        offset = span.start;
        at = next.into_inner();
    }
    offset
}
