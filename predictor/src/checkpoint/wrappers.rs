//! What wrappers put before the names of a network's tensors.
//!
//! A training framework's module (`model.encoder.…`), DDP (`module.`), `torch.compile`
//! (`_orig_mod.`) or a class around several networks each add a prefix. Which it is doesn't
//! matter: one tensor of every network is known by the end of its name, and what stands before
//! it there stands before the others too.

use std::collections::{BTreeMap, BTreeSet};

/// Ends of names that every network has one of: official, and Hugging Face's.
const KNOWN: [&str; 6] = [
    "patch_embed.proj.weight",
    "patch_embed.small.weight",
    "predictor_embed.weight",
    "predictor_embed.0.weight",
    "embeddings.patch_embeddings.proj.weight",
    "embeddings.predictor_embeddings.weight",
];
/// Names of the networks in a dictionary of several.
const NETWORKS: [&str; 5] = [
    "encoder",
    "target_encoder",
    "ema_encoder",
    "predictor",
    "mask_predictor",
];
/// Wrappers that are taken off name by name (DDP, the pre-training's multi-resolution wrapper,
/// `torch.compile`).
const USUAL: [&str; 3] = ["module.", "backbone.", "_orig_mod."];

/// Tensors without wrappers' prefixes.
#[derive(Debug)]
pub(super) struct Unwrapped<T> {
    /// By the name that remains.
    pub tensors: BTreeMap<String, T>,
    /// Names of tensors outside the wrapper, which belong to something else.
    pub outside: Vec<String>,
}

/// What stands before a name that every network has, with its last dot; `None` for other names.
pub(super) fn before(name: &str) -> Option<&str> {
    KNOWN.iter().find_map(|end| {
        let before = name.strip_suffix(end)?;
        (before.is_empty() || before.ends_with('.')).then_some(before)
    })
}

/// A name without the usual wrappers.
pub(super) fn without_usual(mut name: &str) -> &str {
    while let Some(rest) = USUAL.iter().find_map(|w| name.strip_prefix(w)) {
        name = rest;
    }
    name
}

/// A prefix taken apart: `model.` and `encoder.` of `model.encoder.module.`.
fn parts(prefix: &str) -> (&str, String) {
    let mut at = prefix.len();
    for segment in prefix.split_terminator('.').rev() {
        at -= segment.len() + 1;
        if NETWORKS.contains(&segment) {
            return (&prefix[..at], format!("{segment}."));
        }
    }
    (prefix, String::new())
}

/// Whether only usual wrappers stand around a network's name.
fn is_usual(prefix: &str) -> bool {
    let prefix = without_usual(prefix);
    let rest = prefix
        .split_once('.')
        .filter(|(first, _)| NETWORKS.contains(first))
        .map_or(prefix, |(_, rest)| rest);
    without_usual(rest).is_empty()
}

/// Takes prefixes off that are not the usual ones. Of `several` networks in one dictionary, the
/// names of the networks stay in front.
///
/// # Errors
/// When one network is there under two prefixes.
pub(super) fn unwrap<T>(
    tensors: BTreeMap<String, T>,
    several: bool,
) -> Result<Unwrapped<T>, String> {
    // Which network each leads to, by its tensor that is known.
    let known = tensors.keys().filter_map(|name| {
        let prefix = before(name)?;
        let predicts = name[prefix.len()..].contains("predictor_embed");
        let network = if predicts { "predictor." } else { "encoder." };
        Some((prefix.to_owned(), network))
    });
    let prefixes: BTreeMap<String, &str> = known.collect();
    if prefixes.keys().all(|prefix| is_usual(prefix)) {
        return Ok(Unwrapped {
            tensors,
            outside: Vec::new(),
        });
    }
    let unnamed = prefixes.keys().filter(|p| parts(p).1.is_empty()).count();
    let mut networks: BTreeMap<String, &str> = BTreeMap::new();
    for (prefix, known) in &prefixes {
        let network = match (several, parts(prefix).1) {
            (false, _) => String::new(),
            (true, named) if named.is_empty() && unnamed > 1 => (*known).to_owned(),
            (true, named) => named,
        };
        if let Some(other) = networks.insert(network, prefix) {
            return Err(format!(
                "one network is there twice, under names that begin with {other:?} and {prefix:?}"
            ));
        }
    }
    let outer: BTreeSet<&str> = prefixes.keys().map(|prefix| parts(prefix).0).collect();
    let mut unwrapped = Unwrapped {
        tensors: BTreeMap::new(),
        outside: Vec::new(),
    };
    for (name, tensor) in tensors {
        // The longest, where one prefix begins with another.
        let own = networks
            .iter()
            .filter(|(_, prefix)| name.starts_with(**prefix));
        let own = own.max_by_key(|(_, prefix)| prefix.len());
        let rest = match own {
            Some((network, prefix)) => Some(format!("{network}{}", &name[prefix.len()..])),
            None => outer
                .iter()
                .find_map(|outer| name.strip_prefix(outer))
                .map(str::to_owned),
        };
        match rest {
            Some(rest) => drop(unwrapped.tensors.insert(rest, tensor)),
            None => unwrapped.outside.push(name),
        }
    }
    Ok(unwrapped)
}

#[cfg(test)]
#[path = "../../tests/unit/checkpoint_wrappers.rs"]
mod tests;
