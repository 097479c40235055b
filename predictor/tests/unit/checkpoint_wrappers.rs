//! Unit tests of `src/checkpoint/wrappers.rs`.

use super::*;

fn names(names: &[&str], several: bool) -> Result<(Vec<String>, Vec<String>), String> {
    let tensors = names.iter().map(|n| ((*n).to_owned(), ())).collect();
    unwrap(tensors, several).map(|u| (u.tensors.into_keys().collect(), u.outside))
}

#[test]
fn any_wrapper_that_leads_to_known_names_is_taken_off() {
    let (found, outside) = names(
        &[
            "net.model.encoder.module.patch_embed.proj.weight",
            "net.model.encoder.module.norm.bias",
            "net.model.predictor.predictor_embed.weight",
            "net.model.predictor.predictor_norm.bias",
            "criterion.scale",
        ],
        true,
    )
    .unwrap();
    assert_eq!(
        found,
        [
            "encoder.norm.bias",
            "encoder.patch_embed.proj.weight",
            "predictor.predictor_embed.weight",
            "predictor.predictor_norm.bias"
        ]
    );
    assert_eq!(outside, ["criterion.scale"]);
    let (found, _) = names(&["vit.patch_embed.proj.weight", "vit.norm.bias"], false).unwrap();
    assert_eq!(found, ["norm.bias", "patch_embed.proj.weight"]);
    // Usual wrappers, and what leads nowhere, stay for others to see.
    for kept in [
        "encoder.module.backbone.patch_embed.proj.weight",
        "patch_embed.proj.weight",
        "model.encoder.norm.bias",
    ] {
        assert_eq!(names(&[kept], true).unwrap().0, [kept]);
    }
}

#[test]
fn networks_under_names_of_their_own_are_told_apart_by_what_they_hold() {
    let two = [
        "jepa.enc.norm.bias",
        "jepa.enc.patch_embed.proj.weight",
        "jepa.pred.predictor_embed.weight",
        "jepa.pred.predictor_norm.bias",
    ];
    let (found, outside) = names(&two, true).unwrap();
    assert_eq!(
        found,
        [
            "encoder.norm.bias",
            "encoder.patch_embed.proj.weight",
            "predictor.predictor_embed.weight",
            "predictor.predictor_norm.bias"
        ]
    );
    assert_eq!(outside, [""; 0]);
    let twice = ["a.x.patch_embed.proj.weight", "a.y.patch_embed.proj.weight"];
    let problem = names(&twice, true).unwrap_err();
    assert!(problem.contains("there twice"), "{problem}");
}

#[test]
fn two_models_in_one_dictionary_are_refused_by_their_prefixes() {
    let two = [
        "student.encoder.patch_embed.proj.weight",
        "teacher.encoder.patch_embed.proj.weight",
    ];
    let problem = names(&two, true).unwrap_err();
    assert!(problem.contains("\"student.encoder.\""), "{problem}");
    assert!(problem.contains("\"teacher.encoder.\""), "{problem}");
}
