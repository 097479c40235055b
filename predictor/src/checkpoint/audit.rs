//! Which tensors a network needs against which ones a checkpoint has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use candle_core::DType;
use serde::Serialize;

use crate::layout;

/// Names listed in a message before "and N more".
const SHOWN: usize = 12;
/// Names a nearest match is looked for.
const MATCHED: usize = 64;
/// Longer names are not compared.
const LONGEST: usize = 200;

/// A name without a partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unmatched {
    /// The name.
    pub name: String,
    /// The most similar name on the other side, if any is similar at all.
    pub nearest: Option<String>,
}

/// A tensor of another shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Misshapen {
    /// Its name.
    pub name: String,
    /// The shape in the checkpoint.
    pub found: Vec<usize>,
    /// The shape the architecture needs.
    pub expected: Vec<usize>,
}

/// How a checkpoint's tensors compare with an architecture's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Needed but not there.
    pub missing: Vec<Unmatched>,
    /// There but not needed.
    pub unexpected: Vec<Unmatched>,
    /// There with another shape.
    pub misshapen: Vec<Misshapen>,
    /// There with a type that is no float.
    pub not_float: Vec<String>,
}

impl Audit {
    /// Compares `found`, names with shapes and types, with `expected`. Names in `optional` may be
    /// there or not.
    pub fn new<'a>(
        found: impl IntoIterator<Item = (&'a str, (&'a [usize], DType))>,
        expected: &[layout::Entry],
        optional: &[&str],
    ) -> Self {
        let found: BTreeMap<&str, (&[usize], DType)> = found.into_iter().collect();
        let mut audit = Audit::default();
        let mut missing = Vec::new();
        for (name, shape) in expected {
            match found.get(name.as_str()) {
                None => missing.push(name.as_str()),
                Some((found, _)) if *found != shape.as_slice() => audit.misshapen.push(Misshapen {
                    name: name.clone(),
                    found: found.to_vec(),
                    expected: shape.clone(),
                }),
                Some((_, dtype)) if !dtype.is_float() => audit.not_float.push(name.clone()),
                Some(_) => {}
            }
        }
        let known: BTreeSet<&str> = expected.iter().map(|(n, _)| n.as_str()).collect();
        let unexpected: Vec<&str> = found
            .keys()
            .copied()
            .filter(|name| !known.contains(name) && !optional.contains(name))
            .collect();
        audit.missing = matched(&missing, &unexpected);
        audit.unexpected = matched(&unexpected, &missing);
        audit
    }

    /// Whether everything fits.
    pub fn is_clean(&self) -> bool {
        self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.misshapen.is_empty()
            && self.not_float.is_empty()
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        let mut list = |what: &str, items: Vec<String>| {
            let more = items.len().saturating_sub(SHOWN);
            for item in items.into_iter().take(SHOWN) {
                lines.push(format!("  {what}: {item}"));
            }
            if more > 0 {
                lines.push(format!("  {what}: and {more} more"));
            }
        };
        let unmatched = |items: &[Unmatched]| {
            items
                .iter()
                .map(|u| match &u.nearest {
                    Some(nearest) => format!("{} (nearest: {nearest})", u.name),
                    None => u.name.clone(),
                })
                .collect()
        };
        list("missing", unmatched(&self.missing));
        list("unexpected", unmatched(&self.unexpected));
        let shapes = self
            .misshapen
            .iter()
            .map(|m| format!("{} is {:?} but must be {:?}", m.name, m.found, m.expected));
        list("wrong shape", shapes.collect());
        list("not a float", self.not_float.clone());
        write!(f, "{}", lines.join("\n"))
    }
}

fn matched(names: &[&str], others: &[&str]) -> Vec<Unmatched> {
    names
        .iter()
        .enumerate()
        .map(|(i, name)| Unmatched {
            name: (*name).to_owned(),
            nearest: (i < MATCHED).then(|| nearest(name, others)).flatten(),
        })
        .collect()
}

/// The most similar of `candidates`, if it takes fewer edits than half the name.
pub(super) fn nearest(name: &str, candidates: &[&str]) -> Option<String> {
    if name.len() > LONGEST {
        return None;
    }
    candidates
        .iter()
        .filter(|c| c.len() <= LONGEST)
        .map(|c| (distance(name.as_bytes(), c.as_bytes()), c))
        .min()
        .filter(|(edits, _)| *edits * 2 < name.len())
        .map(|(_, c)| (*c).to_owned())
}

/// Levenshtein distance.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[path = "../../tests/unit/checkpoint_audit.rs"]
mod tests;
