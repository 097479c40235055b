//! What PyTorch checkpoints may contain beyond the golden ones: half precision, tensors that
//! share a storage, transposed views, parameters, and lies about sizes.

use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use foresight_predictor::checkpoint::{Checkpoint, Part};
use half::{bf16, f16};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// One tensor to be described in a pickle.
pub(crate) struct View {
    name: &'static str,
    storage: &'static str,
    class: &'static str,
    offset: u8,
    shape: Vec<u8>,
    strides: Vec<u8>,
    parameter: bool,
}

pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn tuple(out: &mut Vec<u8>, values: &[u8]) {
    out.push(b'(');
    for value in values {
        out.extend([b'K', *value]);
    }
    out.push(b't');
}

/// `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict())`, in a
/// `_rebuild_parameter` where asked for.
pub(crate) fn rebuild(out: &mut Vec<u8>, view: &View) {
    if view.parameter {
        out.extend(b"ctorch._utils\n_rebuild_parameter\n(");
    }
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(out, "storage");
    out.extend(format!("ctorch\n{}\n", view.class).bytes());
    text(out, view.storage);
    text(out, "cpu");
    out.extend(b"K\x00tQ");
    out.extend([b'K', view.offset]);
    tuple(out, &view.shape);
    tuple(out, &view.strides);
    out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    if view.parameter {
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
}

/// A `.pt` with these tensors in its `encoder`, beside a nested optimiser state.
fn write(path: &Path, views: &[View], storages: &[(&str, Vec<u8>)], method: CompressionMethod) {
    let mut pickle = b"\x80\x02}(".to_vec();
    text(&mut pickle, "encoder");
    pickle.extend(b"}(");
    for view in views {
        text(&mut pickle, &format!("module.{}", view.name));
        rebuild(&mut pickle, view);
    }
    pickle.push(b'u');
    text(&mut pickle, "opt");
    pickle.push(b'}');
    text(&mut pickle, "state");
    pickle.extend(b"}K\x00}");
    text(&mut pickle, "exp_avg");
    rebuild(&mut pickle, &views[0]);
    pickle.extend(b"sssu.");

    let mut archive = ZipWriter::new(std::fs::File::create(path).unwrap());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    archive.start_file("archive/data.pkl", stored).unwrap();
    archive.write_all(&pickle).unwrap();
    let options = SimpleFileOptions::default().compression_method(method);
    for (key, bytes) in storages {
        archive
            .start_file(format!("archive/data/{key}"), options)
            .unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

pub(crate) fn view(name: &'static str, class: &'static str, shape: &[u8], strides: &[u8]) -> View {
    View {
        name,
        storage: "0",
        class,
        offset: 0,
        shape: shape.to_vec(),
        strides: strides.to_vec(),
        parameter: false,
    }
}

pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.pt");
    (folder, path)
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_dtype(DType::F32).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn half_precision_shared_storages_views_and_parameters_are_read() {
    let (_folder, path) = folder();
    let wide: Vec<u8> = (0..6)
        .flat_map(|i| bf16::from_f32(i as f32).to_le_bytes())
        .collect();
    let half: Vec<u8> = (0..2)
        .flat_map(|i| f16::from_f32(i as f32 + 0.5).to_le_bytes())
        .collect();
    let mut shared = view("tail", "BFloat16Storage", &[2], &[1]);
    shared.offset = 4;
    let mut other = view("half", "HalfStorage", &[1, 2], &[2, 1]);
    other.storage = "1";
    let mut parameter = view("parameter", "BFloat16Storage", &[6], &[1]);
    parameter.parameter = true;
    let transposed = view("transposed", "BFloat16Storage", &[3, 2], &[1, 3]);
    let views = [
        view("whole", "BFloat16Storage", &[2, 3], &[3, 1]),
        shared,
        other,
        parameter,
        transposed,
    ];
    write(
        &path,
        &views,
        &[("0", wide), ("1", half)],
        CompressionMethod::Stored,
    );

    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.other_keys(), ["opt"]);
    let read = |name: &str| checkpoint.tensor(Part::Encoder, name).unwrap();
    assert_eq!(read("whole").dtype(), DType::BF16);
    assert_eq!(values(&read("whole")), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(values(&read("tail")), [4.0, 5.0]);
    assert_eq!(values(&read("half")), [0.5, 1.5]);
    assert_eq!(read("half").dtype(), DType::F16);
    assert_eq!(values(&read("parameter")).len(), 6);
    assert_eq!(read("transposed").dims(), [3, 2]);
    assert_eq!(values(&read("transposed")), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    let error = checkpoint.tensor(Part::Encoder, "nothing").unwrap_err();
    assert!(error.to_string().contains("nothing"), "{error}");
}

#[test]
fn tensors_that_reach_beyond_their_storage_are_refused_by_name() {
    let (_folder, path) = folder();
    let refused = |broken: View, bytes: usize, method| {
        write(&path, &[broken], &[("0", vec![0; bytes])], method);
        let error = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(error.contains("made.pt"), "{error}");
        error
    };
    let stored = CompressionMethod::Stored;
    let large = view("large", "FloatStorage", &[2, 3], &[3, 1]);
    assert!(refused(large, 20, stored).contains("encoder.module.large"));
    let unknown = view("strange", "QUInt8Storage", &[1], &[1]);
    assert!(refused(unknown, 20, stored).contains("QUInt8Storage"));
    let mut lost = view("lost", "FloatStorage", &[1], &[1]);
    lost.storage = "7";
    assert!(refused(lost, 20, stored).contains("storage 7"));
    let ragged = view("ragged", "FloatStorage", &[2, 2], &[1]);
    assert!(refused(ragged, 20, stored).contains("differ in length"));
}
