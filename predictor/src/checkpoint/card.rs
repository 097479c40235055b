//! The model card of converted weights.

use std::fmt::Write;

use super::{Checkpoint, Part, VJEPA21_LICENCE};
use crate::config::ModelConfig;

/// Name of the card in a model folder.
pub const CARD_FILE: &str = "MODEL_CARD.md";

/// The card of a model converted from `checkpoint`, whose `encoder` part became its encoder, as
/// Markdown: where it comes from, what it is, and what is open about its licence.
pub fn conversion_card(
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    encoder: Part,
    sha256: &str,
) -> String {
    let e = &config.encoder;
    let vjepa21 = e.vjepa2_1.is_some();
    let family = if vjepa21 { "V-JEPA 2.1" } else { "V-JEPA 2" };
    let mut text = format!("# {}\n\n", config.name);
    let file = checkpoint.path().file_name().unwrap_or_default();
    let _ = writeln!(
        text,
        "Weights of the {family} family, converted with `foresight model convert`; not trained further.\n"
    );
    let kept = [
        config.predictor.as_ref().map(|_| Part::AcPredictor),
        config.mask_predictor.as_ref().map(|_| Part::MaskPredictor),
    ];
    let kept: Vec<String> = kept.iter().flatten().map(ToString::to_string).collect();
    let rows = [
        (
            "Converted from",
            format!("`{}`, sha256 `{sha256}`", file.to_string_lossy()),
        ),
        ("Encoder", format!("the file's {encoder}")),
        (
            "Architecture",
            format!(
                "{family}, {} blocks of {}, {} heads, patches of {} px, images of {}×{} px",
                e.depth, e.embed_dim, e.num_heads, e.patch_size, e.img_size[0], e.img_size[1]
            ),
        ),
        (
            "With",
            if kept.is_empty() {
                "no predictor".into()
            } else {
                kept.join(", ")
            },
        ),
    ];
    let _ = writeln!(text, "| | |\n|---|---|");
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    let licence = if vjepa21 {
        VJEPA21_LICENCE
    } else {
        "a checkpoint carries no licence: look up that of its source before you pass the weights on"
    };
    let mut sentence: Vec<char> = licence.chars().collect();
    if let Some(first) = sentence.first_mut() {
        first.make_ascii_uppercase();
    }
    let sentence: String = sentence.into_iter().collect();
    let _ = writeln!(text, "\n## Licence\n\n{sentence}.");
    text
}
