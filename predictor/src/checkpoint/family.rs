//! Which family a network is of, V-JEPA 2 or 2.1, by the names of its tensors.

use std::collections::BTreeMap;

use super::{Architecture, Checkpoint, Part};

/// Names of an encoder, whole or from their start, that V-JEPA 2.1 has and V-JEPA 2 hasn't.
const VJEPA21: [&str; 4] = [
    "norms_block.",
    "patch_embed_img.",
    "img_mod_embed",
    "video_mod_embed",
];

/// What the licence of V-JEPA 2.1's weights is known to be.
pub const VJEPA21_LICENCE: &str = "the code of V-JEPA 2.1 is under the MIT licence, but its weights are reported to be under CC BY-NC 4.0 (not for commercial use); nothing in the file says which: ask their source before you use them or pass them on";

/// Whether names are those of V-JEPA 2.1's encoder.
pub(super) fn is_vjepa21<T>(tensors: &BTreeMap<String, T>) -> bool {
    telling(tensors).next().is_some()
}

fn telling<T>(tensors: &BTreeMap<String, T>) -> impl Iterator<Item = &str> {
    tensors
        .keys()
        .map(String::as_str)
        .filter(|name| VJEPA21.iter().any(|start| name.starts_with(start)))
}

/// Whether names are those of V-JEPA 2.1's predictor.
pub(super) fn is_vjepa21_predictor<T>(tensors: &BTreeMap<String, T>) -> bool {
    has_modalities(tensors)
        || any(tensors, "predictor_proj_context.")
        || any(tensors, "predictor_embed.0.")
}

pub(super) fn has_modalities<T>(tensors: &BTreeMap<String, T>) -> bool {
    ["img_mod_embed", "video_mod_embed"]
        .iter()
        .any(|name| tensors.contains_key(*name))
}

pub(super) fn any<T>(tensors: &BTreeMap<String, T>, prefix: &str) -> bool {
    tensors.keys().any(|name| name.starts_with(prefix))
}

/// A sentence that says which family an encoder's names are of, and by what.
pub(super) fn sentence<T>(tensors: &BTreeMap<String, T>) -> String {
    let names: Vec<&str> = telling(tensors).collect();
    let Some(first) = names.first() else {
        return "it is V-JEPA 2's: no norms_block, patch_embed_img or img_mod_embed, which V-JEPA 2.1 has".into();
    };
    format!(
        "it is V-JEPA 2.1's, by {} tensors that V-JEPA 2 doesn't have, such as {first}",
        names.len()
    )
}

impl Checkpoint {
    /// Whether its encoder is V-JEPA 2.1's.
    pub fn is_vjepa21(&self) -> bool {
        [Part::Encoder, Part::TargetEncoder]
            .iter()
            .any(|part| self.entries(*part).is_some_and(is_vjepa21))
    }

    /// Which encoder features are taken from: of V-JEPA 2.1's files the moving average, as their hub
    /// loads it.
    pub fn frozen_encoder(&self) -> Part {
        let average = self.entries(Part::TargetEncoder).is_some();
        if average && (self.is_vjepa21() || self.entries(Part::Encoder).is_none()) {
            Part::TargetEncoder
        } else {
            Part::Encoder
        }
    }

    /// What else a user should know of this checkpoint: its family, where the official code would
    /// do something else with it, and the licence question.
    pub fn notes(&self, architecture: &Architecture) -> Vec<String> {
        let mut notes = self.remarks.clone();
        for part in [Part::Encoder, Part::TargetEncoder] {
            if let Some(tensors) = self.entries(part) {
                notes.push(format!("{part}: {}", sentence(tensors)));
            }
        }
        let vjepa21 = self.is_vjepa21();
        if vjepa21 && self.entries(Part::TargetEncoder).is_some() {
            notes.push(
                "of a V-JEPA 2.1 file the official hub loads the moving average (ema_encoder or target_encoder), not the encoder in training; `model convert` does the same".into(),
            );
        }
        let stretched = architecture.mask_predictor.as_ref().is_some_and(|m| {
            let options = m.config.vjepa2_1.as_ref();
            options.is_some_and(|o| o.interpolate_rope)
        });
        let predictor = self.entries(Part::MaskPredictor);
        if stretched && predictor.is_some_and(is_vjepa21_predictor) {
            notes.push(
                "the mask predictor is taken with interpolate_rope, as every official training configuration has it; the official hub leaves that out without a word, and then its positions are not those of the training".into(),
            );
        }
        if vjepa21 {
            notes.push(VJEPA21_LICENCE.into());
        }
        notes
    }
}
