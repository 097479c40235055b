//! Damaged and foreign checkpoints end in an error that names the file and what to do.

use crate::mutate;
use crate::support;
use std::path::{Path, PathBuf};

use foresight_predictor::checkpoint::{self, Checkpoint, CheckpointError, Part};
use foresight_predictor::{layout, EncoderConfig};

fn file(name: &str) -> PathBuf {
    support::root().join("09_checkpoints").join(name)
}

fn config() -> EncoderConfig {
    support::Fixture::read(file("expected.json")).parse("encoder_config")
}

/// Opens and reads everything.
fn read(path: &Path) -> Result<(), CheckpointError> {
    let checkpoint = Checkpoint::open(path)?;
    let architecture = checkpoint.architecture()?;
    for part in checkpoint.parts() {
        checkpoint.tensors(part, &architecture.layout(part))?;
    }
    Ok(())
}

fn message(path: &Path) -> String {
    let error = read(path).expect_err("must not load").to_string();
    println!("{error}\n");
    let name = path.file_name().unwrap().to_string_lossy();
    assert!(
        error.contains(&*name),
        "the error doesn't name {name}: {error}"
    );
    error
}

#[test]
fn every_bad_fixture_is_refused_with_its_name() {
    let mut seen = 0;
    for entry in std::fs::read_dir(support::root().join("09_checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("bad_") {
            message(&path);
            seen += 1;
        }
    }
    assert!(seen >= 4, "only {seen} bad files");
}

#[test]
fn truncated_files_say_so() {
    for name in ["bad_truncated.pt", "bad_truncated.safetensors"] {
        let error = message(&file(name));
        assert!(error.contains("cut short"), "{error}");
        assert!(error.contains("copy it again"), "{error}");
    }
}

#[test]
fn a_file_under_another_kind_s_name_is_told_by_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        message(&path)
    };
    let whole =
        |name: &str| std::fs::read(support::root().join("09_checkpoints").join(name)).unwrap();
    let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let tensors = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    for (name, bytes, told) in [
        (
            "zip.safetensors",
            whole("bad_wrong_shapes.pt"),
            "rename it to .pt",
        ),
        ("tensors.pt", tensors, "rename it to .safetensors"),
        (
            "pickle.pt",
            b"\x80\x04\x95\x05\0\0\0\0\0\0\0}\x94.....".to_vec(),
            "a pickle of Python",
        ),
        (
            "pickle.safetensors",
            b"\x80\x02}q\0X\x01\0\0\0aq\x01K\x01s.".to_vec(),
            "a pickle of Python",
        ),
        (
            "old.pt",
            b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec(),
            "as PyTorch saved before 1.6",
        ),
    ] {
        let error = named(name, &bytes);
        assert!(error.contains(told), "{error}");
        assert!(!error.contains("cut short"), "{error}");
    }
}

#[test]
fn garbage_is_no_checkpoint() {
    let error = message(&file("bad_garbage.pt"));
    assert!(error.contains("no PyTorch checkpoint"), "{error}");
}

#[test]
fn wrong_shapes_and_missing_tensors_are_listed() {
    let checkpoint = Checkpoint::open(file("bad_wrong_shapes.pt")).unwrap();
    let config = config();
    let audit = checkpoint.audit(Part::Encoder, &layout::encoder(&config));
    let misshapen: Vec<_> = audit.misshapen.iter().map(|m| m.name.as_str()).collect();
    assert!(misshapen.contains(&"blocks.0.attn.qkv.weight"), "{audit}");
    assert!(misshapen.contains(&"norm.bias"), "{audit}");
    let last = format!("blocks.{}.", config.depth - 1);
    assert!(
        audit.missing.iter().any(|m| m.name.starts_with(&last)),
        "{audit}"
    );
    let error = checkpoint
        .tensors(Part::Encoder, &layout::encoder(&config))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("norm.bias") && error.contains("--config"),
        "{error}"
    );
}

#[test]
fn a_misspelt_tensor_is_listed_with_its_nearest_match() {
    let checkpoint = Checkpoint::open(file("ac_style.pt")).unwrap();
    let mut expected = layout::encoder(&config());
    expected[0].0 = "patch_embed.project.weight".into();
    let audit = checkpoint.audit(Part::Encoder, &expected);
    assert_eq!(audit.missing.len(), 1);
    assert_eq!(
        audit.missing[0].nearest.as_deref(),
        Some("patch_embed.proj.weight")
    );
    assert_eq!(audit.unexpected[0].name, "patch_embed.proj.weight");
}

/// Every cut of a real file, and every byte of its directory and pickle overwritten: always an
/// error or a checkpoint, never a panic.
#[test]
fn no_cut_and_no_flipped_byte_panics() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ac_style.pt", "hf_tiny/model.safetensors"] {
        let bytes = std::fs::read(file(name)).unwrap();
        let extension = Path::new(name).extension().unwrap();
        let path = folder.path().join("broken").with_extension(extension);
        let step = bytes.len() / 97;
        for cut in (0..bytes.len()).step_by(step) {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(read(&path).is_err(), "{name} cut at {cut}");
        }
        // The header or pickle is at the front, the zip's directory at the end.
        let ends = (0..3000.min(bytes.len())).chain(bytes.len() - 400..bytes.len());
        for at in ends.step_by(7) {
            let mut broken = bytes.clone();
            broken[at] ^= 0x5a;
            std::fs::write(&path, &broken).unwrap();
            let _ = read(&path);
        }
    }
}

/// Damage of every kind to the ends of a file, where its directory and pickle are.
#[test]
fn damaged_checkpoints_are_read_or_refused_by_name() {
    const FRONT: usize = 4096;
    const BACK: usize = 8192;
    let folder = tempfile::tempdir().unwrap();
    for name in ["bad_wrong_shapes.pt", "hf_tiny/model.safetensors"] {
        let bytes = std::fs::read(file(name)).unwrap();
        let extension = Path::new(name).extension().unwrap();
        let path = folder.path().join("broken").with_extension(extension);
        let behind = bytes.len() - BACK;
        let ends = [&bytes[..FRONT], &bytes[behind..]].concat();
        let mut refused = 0;
        mutate::each(&ends, 11, |number, ends| {
            let front = FRONT.min(ends.len());
            let broken = [&ends[..front], &bytes[FRONT..behind], &ends[front..]].concat();
            std::fs::write(&path, broken).unwrap();
            if let Err(error) = read(&path) {
                refused += 1;
                let error = error.to_string();
                assert!(error.contains("broken."), "{name} {number}: {error}");
            }
        });
        assert!(refused > 10, "{name}: {refused}");
    }
}

#[test]
fn folders_without_a_model_say_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("model.safetensors"), "{error}");
    let error = read(&folder.path().join("nowhere.pt"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("nowhere.pt"), "{error}");

    std::fs::copy(
        file("hf_tiny/model.safetensors"),
        folder.path().join("model.safetensors"),
    )
    .unwrap();
    std::fs::write(
        folder.path().join("config.json"),
        r#"{"model_type": "bert"}"#,
    )
    .unwrap();
    let error = read(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("config.json") && error.contains("bert"),
        "{error}"
    );
    std::fs::write(folder.path().join("config.json"), "{").unwrap();
    assert!(read(folder.path()).is_err());
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    let error = checkpoint::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("model convert"), "{error}");
}
