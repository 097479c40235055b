//! Checkpoints that PyTorch and its surroundings load, as other programs and people leave them:
//! archives of any name, things beside the weights, wrappers around names, and what stands in a
//! file's place when it isn't the file.

use std::io::Write;
use std::path::Path;

use foresight_predictor::checkpoint::{Checkpoint, Part};
use foresight_predictor::npz::Npz;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::torch_layouts::{folder, rebuild, text, values, view};

/// Data of the storage `0`: 0, 1, …, 5.
fn storage() -> Vec<u8> {
    (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

/// A tensor of two rows of three in a pickle.
fn tensor(pickle: &mut Vec<u8>) {
    rebuild(pickle, &view("", "FloatStorage", &[2, 3], &[3, 1]));
}

/// Names to tensors, within the marks of a dictionary that `begin` makes.
fn tensors(pickle: &mut Vec<u8>, begin: &[u8], names: &[&str]) {
    pickle.extend(begin);
    pickle.push(b'(');
    for name in names {
        text(pickle, name);
        tensor(pickle);
    }
    pickle.push(b'u');
}

/// An archive whose folder is `name`, with the records of large archives before its end, which
/// PyTorch always writes.
fn archive(path: &Path, name: &str, pickle: &[u8]) {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (member, bytes) in [("data.pkl", pickle), ("data/0", &storage())] {
        archive
            .start_file(format!("{name}/{member}"), stored)
            .unwrap();
        archive.write_all(bytes).unwrap();
    }
    let mut bytes = archive.finish().unwrap().into_inner();
    let end = bytes.split_off(bytes.len() - 22);
    assert_eq!(&end[..4], b"PK\x05\x06");
    let field = |at: usize| u32::from_le_bytes(end[at..at + 4].try_into().unwrap());
    let (size, start) = (u64::from(field(12)), u64::from(field(16)));
    let at = bytes.len() as u64;
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44u64.to_le_bytes());
    bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for value in [2, 2, size, start] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(at.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(end);
    std::fs::write(path, bytes).unwrap();
}

/// `{"encoder": {…}}` as a pickle, with `more` after the encoder.
fn with_encoder(begin: &[u8], names: &[&str], more: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(".to_vec();
    text(&mut pickle, "encoder");
    tensors(&mut pickle, begin, names);
    more(&mut pickle);
    pickle.extend(b"u.");
    pickle
}

fn assert_read(path: &Path, part: Part, name: &str) -> Checkpoint {
    let checkpoint = Checkpoint::open(path).unwrap_or_else(|e| panic!("{e}"));
    let read = checkpoint
        .tensor(part, name)
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.dims(), [2, 3]);
    assert_eq!(values(&read), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    checkpoint
}

#[test]
fn an_archive_is_read_whatever_its_folder_is_called() {
    let (_folder, path) = folder();
    let pickle = with_encoder(b"}", &["module.whole"], |_| {});
    // With 21 characters a directory's entry is as long as the records before its end.
    for length in 1..48 {
        archive(&path, &"x".repeat(length), &pickle);
        assert_read(&path, Part::Encoder, "whole");
    }
}

#[test]
fn what_stands_beside_the_weights_is_passed_over() {
    let (_folder, path) = folder();
    let pickle = with_encoder(b"}", &["whole"], |pickle| {
        // A seed of 128 bits, and a generator's state.
        text(pickle, "seed");
        pickle.extend(b"\x8a\x11");
        pickle.extend([0; 16]);
        pickle.push(1);
        text(pickle, "rng_state");
        tensor(pickle);
    });
    archive(&path, "archive", &pickle);
    let checkpoint = assert_read(&path, Part::Encoder, "whole");
    assert_eq!(checkpoint.other_keys(), ["seed", "rng_state"]);
    assert_eq!(checkpoint.entries(Part::Encoder).unwrap().len(), 1);

    // Within the state dict: nothing, a number, an object of some class, complex numbers.
    let mut pickle = b"\x80\x02}".to_vec();
    text(&mut pickle, "encoder");
    pickle.extend(b"}(");
    text(&mut pickle, "whole");
    tensor(&mut pickle);
    text(&mut pickle, "_extra_state");
    pickle.push(b'N');
    text(&mut pickle, "version");
    pickle.extend(b"K\x02");
    text(&mut pickle, "config");
    pickle.extend(b"cmy_code\nConfig\n)\x81");
    text(&mut pickle, "angles");
    rebuild(&mut pickle, &view("", "ComplexFloatStorage", &[3], &[1]));
    pickle.extend(b"us.");
    archive(&path, "archive", &pickle);
    let checkpoint = assert_read(&path, Part::Encoder, "whole");
    assert_eq!(
        checkpoint.other_keys(),
        [
            "encoder._extra_state",
            "encoder.version",
            "encoder.config",
            "encoder.angles"
        ]
    );
    assert_eq!(checkpoint.entries(Part::Encoder).unwrap().len(), 1);
}

#[test]
fn a_dictionary_of_any_class_is_a_dictionary() {
    let (_folder, path) = folder();
    // By __new__, with attributes, and by a call.
    for begin in [&b"cmy_code\nSub\n)\x81"[..], b"cmy_code\nSub\n)R"] {
        let pickle = with_encoder(begin, &["module.whole"], |_| {});
        archive(&path, "archive", &pickle);
        assert_read(&path, Part::Encoder, "whole");
    }
}

#[test]
fn weights_of_kinds_that_are_not_read_are_refused_by_name() {
    let (_folder, path) = folder();
    let mut pickle = b"\x80\x02}".to_vec();
    text(&mut pickle, "encoder");
    pickle.push(b'}');
    text(&mut pickle, "eighths");
    pickle.extend(b"ctorch._utils\n_rebuild_tensor_v3\n)Rss.");
    archive(&path, "archive", &pickle);
    let error = Checkpoint::open(&path).unwrap_err().to_string();
    assert!(error.contains("encoder.eighths"), "{error}");
    assert!(error.contains("_rebuild_tensor_v3"), "{error}");
    assert!(error.contains("torch.bfloat16"), "{error}");
}

#[test]
fn wrappers_of_any_name_are_taken_off() {
    let (_folder, path) = folder();
    let names = [
        "model.encoder.patch_embed.proj.weight",
        "model.encoder.norm.bias",
        "model.predictor.predictor_embed.weight",
        "model.predictor.predictor_norm.bias",
        "loss.weight",
    ];
    let mut flat = b"\x80\x02".to_vec();
    tensors(&mut flat, b"}", &names);
    flat.push(b'.');
    // As a Lightning checkpoint has it, beside other things.
    let mut nested = b"\x80\x02}(".to_vec();
    text(&mut nested, "state_dict");
    tensors(&mut nested, b"}", &names);
    text(&mut nested, "hyper_parameters");
    nested.extend(b"}u.");
    for pickle in [flat, nested] {
        archive(&path, "archive", &pickle);
        let checkpoint = assert_read(&path, Part::Encoder, "norm.bias");
        assert_read(&path, Part::Encoder, "patch_embed.proj.weight");
        assert_read(&path, Part::AcPredictor, "predictor_norm.bias");
        assert_eq!(checkpoint.parts().count(), 2);
        let others = checkpoint.other_keys();
        assert!(others.contains(&"loss.weight".to_owned()), "{others:?}");
    }
    // The networks one level down, each with a wrapper of its own.
    let mut pickle = b"\x80\x02}".to_vec();
    text(&mut pickle, "model");
    pickle.push(b'}');
    text(&mut pickle, "encoder");
    tensors(
        &mut pickle,
        b"}",
        &["vit.patch_embed.proj.weight", "vit.norm.bias"],
    );
    pickle.extend(b"ss.");
    archive(&path, "archive", &pickle);
    assert_read(&path, Part::Encoder, "norm.bias");
}

#[test]
fn names_that_lead_nowhere_are_quoted() {
    let (_folder, path) = folder();
    let mut pickle = b"\x80\x02".to_vec();
    tensors(
        &mut pickle,
        b"}",
        &["tower.stem.weight", "tower.head.weight"],
    );
    pickle.push(b'.');
    archive(&path, "archive", &pickle);
    let checkpoint = Checkpoint::open(&path).unwrap();
    let error = checkpoint.architecture().unwrap_err().to_string();
    assert!(error.contains("\"tower.stem.weight\""), "{error}");
}

#[test]
fn a_compressed_archive_is_called_so() {
    let (_folder, path) = folder();
    let pickle = with_encoder(b"}", &["whole"], |_| {});
    archive(&path, "archive", &pickle);
    let mut bytes = std::fs::read(&path).unwrap();
    // Method 8, deflate, in the members' headers and in the directory's.
    for at in 0..bytes.len() - 12 {
        match &bytes[at..at + 4] {
            b"PK\x03\x04" => bytes[at + 8] = 8,
            b"PK\x01\x02" => bytes[at + 10] = 8,
            _ => {}
        }
    }
    std::fs::write(&path, bytes).unwrap();
    let error = Checkpoint::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("compressed") && error.contains("torch.save"),
        "{error}"
    );
    assert!(!error.contains("copy it again"), "{error}");
}

#[test]
fn git_lfs_pointers_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    for name in ["a.pt", "a.safetensors", "model.safetensors", "config.json"] {
        let folder = folder.path().join(name.replace('.', "_"));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, pointer).unwrap();
        let path = if name == "config.json" {
            let weights = folder.join("model.safetensors");
            std::fs::write(&weights, safetensors(&["a"], "F32", 1.0)).unwrap();
            folder
        } else {
            path
        };
        let error = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        assert!(error.contains("Git-LFS pointer"), "{error}");
        assert!(error.contains("git lfs pull"), "{error}");
    }
    let path = folder.path().join("a.npz");
    std::fs::write(&path, pointer).unwrap();
    let error = Npz::open(&path).unwrap_err().to_string();
    assert!(error.contains("git lfs pull"), "{error}");
}

/// A safetensors file of tensors `[1]`, all of one value.
fn safetensors(names: &[&str], dtype: &str, value: f32) -> Vec<u8> {
    let one = match dtype {
        "F32" => value.to_le_bytes().to_vec(),
        _ => vec![0],
    };
    let tensors: Vec<String> = (0..names.len())
        .map(|i| {
            let (name, begin, end) = (names[i], i * one.len(), (i + 1) * one.len());
            format!(r#""{name}":{{"dtype":"{dtype}","shape":[1],"data_offsets":[{begin},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", tensors.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(one.repeat(names.len()));
    bytes
}

#[test]
fn types_that_are_not_read_are_named_with_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eighths.safetensors");
    for dtype in ["F8_E4M3", "F8_E5M2", "I8"] {
        std::fs::write(&path, safetensors(&["encoder.norm.bias"], dtype, 0.0)).unwrap();
        let error = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(error.contains("encoder.norm.bias is of type"), "{error}");
        assert!(
            error.contains(dtype) && error.contains("bfloat16"),
            "{error}"
        );
        assert!(!error.contains("copy it again"), "{error}");
    }
}

#[test]
fn contradictions_between_shards_and_files_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, tensors: &[&str], value: f32| {
        let path = folder.path().join(name);
        std::fs::write(path, safetensors(tensors, "F32", value)).unwrap();
    };
    let index = |text: &str| {
        let path = folder.path().join("model.safetensors.index.json");
        std::fs::write(path, format!(r#"{{"weight_map": {{{text}}}}}"#)).unwrap();
    };
    let (bias, weight) = ("encoder.norm.bias", "encoder.norm.weight");
    let read = |name: &str| {
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        values(&checkpoint.tensor(Part::Encoder, name).unwrap())[0]
    };
    // A tensor in two shards is taken from the one that the index names.
    write("1.safetensors", &[bias], 1.0);
    write("2.safetensors", &[bias, weight], 2.0);
    index(r#""encoder.norm.bias": "1.safetensors", "encoder.norm.weight": "2.safetensors""#);
    assert_eq!((read("norm.bias"), read("norm.weight")), (1.0, 2.0));
    assert!(remarks(folder.path()).contains("names 1.safetensors: that one is taken"));
    write("2.safetensors", &[bias], 2.0);
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("encoder.norm.weight is in 2.safetensors, but it isn't"),
        "{error}"
    );
    // A whole file beside an index of shards.
    index(r#""encoder.norm.bias": "1.safetensors""#);
    assert_eq!(read("norm.bias"), 1.0);
    write("model.safetensors", &[bias], 0.5);
    assert_eq!(read("norm.bias"), 0.5);
    assert!(remarks(folder.path()).contains("model.safetensors is taken"));
    std::fs::remove_file(folder.path().join("model.safetensors.index.json")).unwrap();
    assert!(!remarks(folder.path()).contains("is taken"));
}

fn remarks(folder: &Path) -> String {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let architecture = foresight_predictor::checkpoint::Architecture {
        encoder: None,
        predictor: None,
        mask_predictor: None,
    };
    checkpoint.notes(&architecture).join("\n")
}
