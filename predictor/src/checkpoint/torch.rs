//! PyTorch's `.pt`: a zip archive with one pickle and one member for each storage.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use candle_core::DType;
use zip::CompressionMethod;

use super::entry::{Entry, Piece, Span};
use super::error::CheckpointError;
use super::pickle::{Id, Node, Pickle};
use super::wrappers;
use crate::zip_file::{self, Archive};

/// Largest pickle that is read, bytes. Those of the released checkpoints are below one MiB: the
/// weights are not in it.
const MAX_PICKLE: u64 = 512 << 20;

/// Elements an expanded tensor (stride 0) may have beyond its storage.
const MAX_EXPANDED: usize = 1 << 24;

/// Keys under which training code keeps the networks, where several would do, the first first.
const MODEL_KEYS: [&str; 6] = [
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
];
/// What to do about an archive that was packed by another program.
const SAVE_AGAIN: &str =
    "torch.load it and torch.save it again, which doesn't compress (or unzip it and zip it again with `zip -0`)";

/// Raw names to tensors.
pub(super) type Dictionary = BTreeMap<String, Entry>;

/// What a `.pt` holds: its dictionaries of tensors by key, and everything else's keys.
#[derive(Debug, Default)]
pub(super) struct TorchFile {
    /// `encoder`, `predictor`, …; the key is empty where the file is one state dict itself.
    pub dictionaries: BTreeMap<String, Dictionary>,
    /// Keys with anything else in them (`opt`, `epoch`, `loss`, …), and names in the dictionaries
    /// that are no tensors.
    pub others: Vec<String>,
}

/// A storage: a member of the archive.
#[derive(Debug, Clone, Copy)]
struct Storage {
    offset: u64,
    bytes: u64,
}

/// Reads the pickle of `path` and locates every tensor of the dictionaries `wanted` picks by
/// key; data are not read.
///
/// # Errors
/// When the file is no PyTorch archive, cut short, or holds tensors that can't be read.
pub(super) fn index(
    path: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<TorchFile, CheckpointError> {
    let file = File::open(path).map_err(CheckpointError::io(path, "opening"))?;
    let length = file
        .metadata()
        .map_err(CheckpointError::io(path, "reading"))?
        .len();
    let mut archive =
        zip_file::open(file).map_err(|e| not_an_archive(path, length, &e.to_string()))?;
    let (prefix, pickle) = read_pickle(path, &mut archive)?;
    let pickle = Pickle::parse(&pickle).map_err(|e| CheckpointError::damaged(path, e))?;
    let storages = storages(path, &mut archive, &prefix, length)?;
    let reader = Reader {
        path,
        pickle: &pickle,
        storages,
    };
    reader.read(wanted)
}

fn not_an_archive(path: &Path, length: u64, reason: &str) -> CheckpointError {
    if let Some(misnamed) = CheckpointError::misnamed(path, "pt") {
        return misnamed;
    }
    let mut start = [0u8; 4];
    let zip_start = File::open(path)
        .and_then(|mut f| f.read_exact(&mut start))
        .is_ok()
        && start == *b"PK\x03\x04";
    if zip_start {
        CheckpointError::damaged(
            path,
            format!("it begins like a PyTorch checkpoint but is cut short after {length} bytes ({reason})"),
        )
    } else {
        CheckpointError::unsupported(
            path,
            format!("it is no PyTorch checkpoint: {length} bytes that are no zip archive ({reason})"),
            "give a .pt written by torch.save, a Hugging Face folder or a model folder; if it should be one, copy it again",
        )
    }
}

/// The archive's folder name with a slash, and the bytes of its `data.pkl`.
fn read_pickle(path: &Path, archive: &mut Archive) -> Result<(String, Vec<u8>), CheckpointError> {
    let found = (0..archive.len()).find_map(|i| {
        let name = archive.name_for_index(i)?.ok()?;
        let prefix = name.strip_suffix("data.pkl")?;
        (prefix.is_empty() || prefix.ends_with('/')).then(|| (i, prefix.to_owned()))
    });
    let Some((i, prefix)) = found else {
        return Err(CheckpointError::unsupported(
            path,
            "it is a zip archive without a data.pkl, so no PyTorch checkpoint",
            "give the .pt itself",
        ));
    };
    if let Some(order) = archive.index_for_name(&format!("{prefix}byteorder")) {
        let bytes = read_member(path, archive, order, 64)?;
        if bytes != b"little" {
            return Err(CheckpointError::unsupported(
                path,
                "its tensors are stored big-endian",
                "save it again on a little-endian machine",
            ));
        }
    }
    Ok((prefix, read_member(path, archive, i, MAX_PICKLE)?))
}

fn read_member(
    path: &Path,
    archive: &mut Archive,
    index: usize,
    limit: u64,
) -> Result<Vec<u8>, CheckpointError> {
    let damaged = |e: String| CheckpointError::damaged(path, e);
    let mut member = archive
        .by_index_raw(index)
        .map_err(|e| damaged(format!("a member can't be read ({e})")))?;
    if member.compression() != CompressionMethod::Stored {
        return Err(compressed(path));
    }
    if member.size() > limit {
        return Err(damaged(format!(
            "its description of the tensors has {} bytes, more than {limit}",
            member.size()
        )));
    }
    let mut bytes = Vec::new();
    member.read_to_end(&mut bytes).map_err(|e| {
        damaged(format!(
            "its description of the tensors can't be read ({e})"
        ))
    })?;
    Ok(bytes)
}

fn compressed(path: &Path) -> CheckpointError {
    CheckpointError::unsupported(
        path,
        "its zip archive is compressed, as torch.save never writes it",
        SAVE_AGAIN,
    )
}

/// Where each storage lies, by its key.
fn storages(
    path: &Path,
    archive: &mut Archive,
    prefix: &str,
    length: u64,
) -> Result<HashMap<String, Storage>, CheckpointError> {
    let folder = format!("{prefix}data/");
    let mut storages = HashMap::new();
    for i in 0..archive.len() {
        let member = archive
            .by_index_raw(i)
            .map_err(|e| CheckpointError::damaged(path, format!("member {i} is broken ({e})")))?;
        let name = member
            .name()
            .map_err(|e| CheckpointError::damaged(path, format!("member {i} is broken ({e})")))?;
        let Some(key) = name.strip_prefix(folder.as_str()).map(str::to_owned) else {
            continue;
        };
        if member.compression() != CompressionMethod::Stored {
            return Err(compressed(path));
        }
        let bytes = member.size();
        let offset = member.data_start().unwrap_or(u64::MAX);
        if offset.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(CheckpointError::damaged(
                path,
                format!("tensor storage {key} reaches beyond the end of the file"),
            ));
        }
        storages.insert(key, Storage { offset, bytes });
    }
    Ok(storages)
}

struct Reader<'a> {
    path: &'a Path,
    pickle: &'a Pickle,
    storages: HashMap<String, Storage>,
}

impl Reader<'_> {
    fn read(&self, wanted: impl Fn(&str) -> bool) -> Result<TorchFile, CheckpointError> {
        let root = self.pickle.entries(self.pickle.root()).ok_or_else(|| {
            CheckpointError::unsupported(
                self.path,
                "it doesn't hold a dictionary",
                "give a checkpoint with `encoder` and `predictor` state dicts",
            )
        })?;
        let mut file = TorchFile::default();
        let level = self.level(root, &wanted, &mut file.others)?;
        let is_network = |(key, value): &(Id, Id)| {
            self.pickle.text(*key).is_some_and(&wanted) && self.pickle.entries(*value).is_some()
        };
        // Beside networks of their own, a tensor is something else: a generator's state, a step.
        let networks = level.iter().any(is_network);
        let mut flat = Dictionary::new();
        for (key, value) in level {
            let Some(key) = self.pickle.text(*key) else {
                continue;
            };
            if let (true, Some(entries)) = (wanted(key), self.pickle.entries(*value)) {
                let tensors = self.dictionary(key, self.unnested(entries), &mut file.others)?;
                file.dictionaries.insert(key.to_owned(), tensors);
            } else if networks || !self.is_weight(*value) {
                file.others.push(key.to_owned());
            } else {
                let entry = self.tensor(*value).map_err(|e| self.bad(key, &e))?;
                flat.insert(key.to_owned(), entry);
            }
        }
        if !flat.is_empty() {
            file.dictionaries.insert(String::new(), flat);
        }
        Ok(file)
    }

    /// The dictionary with the networks: `root`, or one in it. The keys beside it go to `others`.
    fn level<'a>(
        &'a self,
        root: &'a [(Id, Id)],
        wanted: impl Fn(&str) -> bool,
        others: &mut Vec<String>,
    ) -> Result<&'a [(Id, Id)], CheckpointError> {
        let has_networks = |entries: &[(Id, Id)]| {
            entries.iter().any(|(key, value)| {
                self.pickle.text(*key).is_some_and(|key| {
                    (wanted(key) && self.pickle.entries(*value).is_some())
                        || (wrappers::before(key).is_some() && self.is_weight(*value))
                })
            })
        };
        let mut level = root;
        // A model's dictionary is at most this deep: `checkpoint["model"]["state_dict"]`.
        for _ in 0..3 {
            if has_networks(level) {
                return Ok(level);
            }
            let dictionaries = || {
                let texts = level.iter();
                texts.filter_map(|(k, v)| Some((self.pickle.text(*k)?, self.pickle.entries(*v)?)))
            };
            let holding: Vec<_> = dictionaries().filter(|(_, e)| has_networks(e)).collect();
            let by_name = |key: &str| dictionaries().find(|(name, _)| *name == key);
            let preferred = MODEL_KEYS.iter().find_map(|key| {
                let named = holding.iter().find(|(name, _)| *name == *key);
                named.copied()
            });
            let (name, entries) = match (preferred, &holding[..]) {
                (Some(found), _) => found,
                (None, [found]) => *found,
                (None, []) => match MODEL_KEYS.iter().find_map(|key| by_name(key)) {
                    Some(found) => found,
                    None => break,
                },
                (None, several) => {
                    let names: Vec<_> = several.iter().map(|(name, _)| *name).collect();
                    return Err(CheckpointError::unsupported(
                        self.path,
                        format!("it has several models: {}", names.join(", ")),
                        "save the state dict of one of them",
                    ));
                }
            };
            let beside = level.iter().filter_map(|(key, _)| self.pickle.text(*key));
            others.extend(beside.filter(|key| *key != name).map(str::to_owned));
            level = entries;
        }
        if has_networks(level) {
            return Ok(level);
        }
        others.clear();
        Ok(root)
    }

    /// The state dict in a network's dictionary: itself, or the only dictionary of tensors in it.
    fn unnested<'a>(&'a self, entries: &'a [(Id, Id)]) -> &'a [(Id, Id)] {
        let has_weights = |entries: &[(Id, Id)]| entries.iter().any(|(_, v)| self.is_weight(*v));
        if has_weights(entries) {
            return entries;
        }
        let inside = entries.iter().filter_map(|(_, v)| self.pickle.entries(*v));
        let inside: Vec<_> = inside.filter(|e| has_weights(e)).collect();
        match inside[..] {
            [only] => only,
            _ => entries,
        }
    }

    fn dictionary(
        &self,
        key: &str,
        entries: &[(Id, Id)],
        others: &mut Vec<String>,
    ) -> Result<Dictionary, CheckpointError> {
        let mut tensors = Dictionary::new();
        for (name, value) in entries {
            let Some(name) = self.pickle.text(*name) else {
                continue;
            };
            let full = format!("{key}.{name}");
            if !self.is_weight(*value) {
                others.push(full);
                continue;
            }
            let entry = self.tensor(*value).map_err(|e| self.bad(&full, &e))?;
            tensors.insert(name.to_owned(), entry);
        }
        Ok(tensors)
    }

    /// Whether an object may be a network's parameter: a tensor of whatever kind, but for types
    /// that none has.
    fn is_weight(&self, id: Id) -> bool {
        if let Some([storage, ..]) = self.tensor_call(id) {
            let class = match self.pickle.node(*storage) {
                Node::Persistent(reference) => self.pickle.items(*reference).and_then(|r| r.get(1)),
                _ => None,
            };
            return !matches!(
                class.map(|class| self.pickle.node(*class)),
                Some(Node::Global(_, name)) if name.starts_with("Complex") || name == "CharStorage"
            );
        }
        self.kind(id).is_some()
    }

    /// The function that makes a tensor of a kind that isn't read.
    fn kind(&self, id: Id) -> Option<String> {
        let (module, name, _) = self.pickle.call(id)?;
        let makes_tensors = matches!(module, "torch._utils" | "torch._tensor");
        (makes_tensors && name.starts_with("_rebuild")).then(|| format!("{module}.{name}"))
    }

    fn bad(&self, name: &str, problem: &str) -> CheckpointError {
        CheckpointError::unsupported(
            self.path,
            format!("{name} can't be read: {problem}"),
            "save plain CPU tensors of float32, float16 or bfloat16 with torch.save (`tensor.cpu().to(torch.bfloat16)`); if the file was copied, compare its size with the original",
        )
    }

    /// The arguments of `_rebuild_tensor_v2`, through the wrappers around it.
    fn tensor_call(&self, mut id: Id) -> Option<&[Id]> {
        // A parameter of a subclass of a tensor is three deep.
        for _ in 0..4 {
            let (module, name, args) = self.pickle.call(id)?;
            match (module, name, args) {
                ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor", args) => {
                    return Some(args)
                }
                ("torch._utils", "_rebuild_parameter", [inner, ..]) => id = *inner,
                ("torch._tensor", "_rebuild_from_type_v2", [function, _, args, ..]) => {
                    return match self.pickle.node(*function) {
                        Node::Global(module, name)
                            if module == "torch._utils" && name == "_rebuild_tensor_v2" =>
                        {
                            self.pickle.items(*args)
                        }
                        _ => None,
                    };
                }
                _ => return None,
            }
        }
        None
    }

    /// Resolves one tensor, checking that all of it is inside its storage.
    fn tensor(&self, id: Id) -> Result<Entry, String> {
        let args = self.tensor_call(id).ok_or_else(|| match self.kind(id) {
            Some(kind) => format!("it is a tensor made by {kind}, which isn't read (a quantised, sparse or 8-bit one)"),
            None => "it is no plain tensor".to_owned(),
        })?;
        let [storage, offset, size, stride, ..] = args else {
            return Err("its description is incomplete".into());
        };
        let Node::Persistent(reference) = self.pickle.node(*storage) else {
            return Err("it has no storage".into());
        };
        // ("storage", <class>, key, location, number of elements)
        let Some([_, class, key, ..]) = self.pickle.items(*reference) else {
            return Err("its storage is described in an unknown way".into());
        };
        let dtype = match self.pickle.node(*class) {
            Node::Global(_, name) => dtype(name)?,
            _ => return Err("its storage has no type".into()),
        };
        let key = self.pickle.text(*key).ok_or("its storage has no key")?;
        let storage = self
            .storages
            .get(key)
            .ok_or_else(|| format!("its storage {key} is not in the file"))?;
        let offset = self.pickle.size(*offset).ok_or("its offset is no size")?;
        let sizes = |id: &Id| -> Option<Vec<usize>> {
            let items = self.pickle.items(*id)?;
            items.iter().map(|i| self.pickle.size(*i)).collect()
        };
        let shape = sizes(size).ok_or("its shape is no tuple of sizes")?;
        let strides = sizes(stride).ok_or("its strides are no tuple of sizes")?;
        if strides.len() != shape.len() {
            return Err("its shape and strides differ in length".into());
        }
        locate(dtype, *storage, offset, shape, strides)
    }
}

/// The bytes of a strided view of `storage`.
fn locate(
    dtype: DType,
    storage: Storage,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
) -> Result<Entry, String> {
    const TOO_LARGE: &str = "its shape is too large";
    let size = dtype.size_in_bytes();
    let elements = shape
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d))
        .ok_or(TOO_LARGE)?;
    // Number of elements from the first to the last one, both included.
    let mut reach = usize::from(elements > 0);
    if elements > 0 {
        for (d, s) in shape.iter().zip(&strides) {
            reach = (d - 1)
                .checked_mul(*s)
                .and_then(|r| reach.checked_add(r))
                .ok_or(TOO_LARGE)?;
        }
    }
    let available = storage.bytes / size as u64;
    let end = offset.checked_add(reach).ok_or(TOO_LARGE)?;
    if end as u64 > available {
        return Err(format!(
            "it needs {end} elements of a storage of {available}"
        ));
    }
    if elements > reach && elements > MAX_EXPANDED {
        return Err(format!(
            "{elements} elements are expanded from {reach}: call .contiguous() before saving"
        ));
    }
    let span = Span {
        file: 0,
        offset: storage.offset + (offset * size) as u64,
        length: reach * size,
    };
    let piece = if is_dense(&shape, &strides) {
        Piece::Dense(span)
    } else {
        Piece::Strided {
            span,
            shape: shape.clone(),
            strides,
        }
    };
    Ok(Entry {
        dtype,
        shape,
        pieces: vec![piece],
    })
}

fn is_dense(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1usize;
    shape.iter().zip(strides).rev().all(|(d, s)| {
        let dense = *d <= 1 || *s == expected;
        expected = expected.saturating_mul(*d);
        dense
    })
}

fn dtype(class: &str) -> Result<DType, String> {
    Ok(match class {
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "ByteStorage" | "BoolStorage" => DType::U8,
        "ShortStorage" => DType::I16,
        "IntStorage" => DType::I32,
        "LongStorage" => DType::I64,
        other => return Err(format!("its type {other} is not supported")),
    })
}

#[cfg(test)]
#[path = "../../tests/unit/checkpoint_torch.rs"]
mod tests;
