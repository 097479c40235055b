//! What is wrong with a scenario file: where, what, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

/// One fault, with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line, column) = (self.file.display(), self.line, self.column);
        write!(f, "{file}:{line}:{column}: {}", self.what)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// Why a scenario can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file can't be read.
    #[error("can't read the scenario {}: {source}; give the path of a .toml file", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file's content is wrong.
    #[error("{}", lines(.0))]
    Content(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// A fault at a place given by keys, before its line is known. Keys are joined by dots, entries
/// of lists counted from 0: `subgoal.1.image`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The keys.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Fault {
    /// A fault.
    pub fn new(
        path: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Fault {
            path: path.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// The fault at its place in `text`; at the nearest table above it when the key is absent.
    pub fn locate(self, file: &Path, text: &str) -> Problem {
        let (line, column) = line_and_column(text, offset_of(text, &self.path));
        Problem {
            file: file.to_owned(),
            line,
            column,
            what: self.what,
            remedy: self.remedy,
        }
    }
}

/// What the TOML reader or serde complained about, with a remedy.
pub fn from_toml(file: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let offset = error.span().map_or(0, |span| span.start);
    let (line, column) = line_and_column(text, offset);
    let what = error.message().trim().to_owned();
    Problem {
        file: file.to_owned(),
        line,
        column,
        remedy: remedy(&what),
        what,
    }
}

/// A hint for one of serde's sentences.
fn remedy(what: &str) -> String {
    let in_variant = what.strip_prefix("unexpected keys in table: ");
    if let Some((wrong, known)) = in_variant.and_then(|w| w.split_once(", available keys: ")) {
        let known: Vec<&str> = known.split(", ").collect();
        return nearest(wrong.split(", ").next().unwrap_or(wrong), &known);
    }
    let mut quoted = what.split('`').skip(1).step_by(2);
    let Some(first) = quoted.next() else {
        return if what.starts_with("invalid type") || what.starts_with("invalid value") {
            "see scenarios/scenario.schema.json for this key's type".into()
        } else {
            "check the TOML syntax here".into()
        };
    };
    if what.starts_with("missing field") {
        return match first {
            "workspace" => {
                "state the box the arm may move in: [safety.workspace] with min_m and max_m".into()
            }
            "safety" => "state the arm's limits: [safety.workspace] with min_m and max_m".into(),
            "model" => "name a model folder: [model] with dir = \"…\"".into(),
            "subgoal" => "add at least one [[subgoal]]".into(),
            other => format!("add `{other}`"),
        };
    }
    let known: Vec<&str> = quoted.collect();
    nearest(first, &known)
}

/// A hint at the known name that was probably meant.
fn nearest(wrong: &str, known: &[&str]) -> String {
    let name = known.iter().min_by_key(|name| distance(wrong, name));
    match name {
        Some(name) if distance(wrong, name) <= wrong.len().max(4) / 2 => {
            format!("did you mean `{name}`? Names carry their units (m, rad, s, px)")
        }
        _ => "remove it, or use one of the names listed".into(),
    }
}

/// Edits that turn one word into another (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (line, column)
}

/// Byte offset of the value at a path; of the deepest existing table on the way otherwise.
fn offset_of(text: &str, path: &str) -> usize {
    let Ok(root) = DeTable::parse(text) else {
        return 0;
    };
    let mut keys = path.split('.');
    let mut offset = 0;
    let Some(mut at) = keys
        .next()
        .and_then(|key| entry(root.get_ref(), key, &mut offset))
    else {
        return 0;
    };
    for key in keys {
        let next = match at {
            DeValue::Table(table) => entry(table, key, &mut offset),
            DeValue::Array(items) => {
                key.parse::<usize>()
                    .ok()
                    .and_then(|i| items.get(i))
                    .map(|v| {
                        offset = v.span().start;
                        v.get_ref()
                    })
            }
            _ => None,
        };
        let Some(next) = next else {
            break;
        };
        at = next;
    }
    offset
}

fn entry<'a>(table: &'a DeTable<'_>, key: &str, offset: &mut usize) -> Option<&'a DeValue<'a>> {
    let (name, value) = table
        .iter()
        .find(|(name, _)| name.get_ref().as_ref() == key)?;
    *offset = name.span().start;
    Some(value.get_ref())
}
