//! Latents of frames on disk: a frozen encoder need not see a frame twice.
//!
//! One safetensors file per episode and camera, `latents [F, N, D]`, in a folder named after
//! everything the latents depend on: encoder, transform and number type. Another model or crop
//! finds another folder; a file that says it is of another episode, or is damaged, is refused by
//! name.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::DType;
use half::f16;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::frame_transform::FrameTransform;
use foresight_predictor::checkpoint::safetensors_file::{self, Metadata, Planned};
use foresight_predictor::checkpoint::{CheckpointError, Entry};
use foresight_predictor::config::EncoderConfig;
use foresight_predictor::error::PredictorError;

/// Version of the files; part of the folder's name.
const VERSION: u32 = 1;
const TENSOR: &str = "latents";
/// Episodes whose latents stay in memory, at most this many bytes of them.
const MEMORY_BYTES: usize = 1 << 30;

/// How latents are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LatentStorage {
    /// 16 bits: half the space, rounded to three digits; the official training computes in
    /// fewer.
    #[default]
    F16,
    /// 32 bits: training with and without the cache is the same, bit for bit.
    F32,
}

impl LatentStorage {
    fn dtype(self) -> DType {
        match self {
            LatentStorage::F16 => DType::F16,
            LatentStorage::F32 => DType::F32,
        }
    }

    /// Values as they come back from the disk.
    pub fn round(self, values: &mut [f32]) {
        if self == LatentStorage::F16 {
            values
                .iter_mut()
                .for_each(|v| *v = f16::from_f32(*v).to_f32());
        }
    }
}

/// Latents of frames, by episode.
#[derive(Debug)]
pub struct LatentCache {
    folder: PathBuf,
    storage: LatentStorage,
    frame: usize,
    shape: [usize; 2],
    memory: Mutex<CachedEpisodes>,
}

#[derive(Debug, Default)]
struct CachedEpisodes {
    episodes: HashMap<String, Arc<Vec<f32>>>,
    bytes: usize,
}

impl LatentCache {
    /// The cache of an encoder and a transform below `root`. `encoder_sha256` identifies the
    /// encoder's weights.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn open(
        root: &Path,
        encoder: &EncoderConfig,
        encoder_sha256: &str,
        transform: &FrameTransform,
        storage: LatentStorage,
    ) -> Result<Self, PredictorError> {
        let key = format!(
            "{VERSION} {encoder:?} {encoder_sha256} {} {storage:?}",
            transform.key()
        );
        let shape = [encoder.tokens_per_frame(), encoder.latent_dim()];
        LatentCache::keyed(root, &key, shape, storage)
    }

    /// The cache below `root` of latents `[N, D]` that depend on all that `key` says.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub(crate) fn keyed(
        root: &Path,
        key: &str,
        shape: [usize; 2],
        storage: LatentStorage,
    ) -> Result<Self, PredictorError> {
        let folder = root.join(&hexadecimal(&Sha256::digest(key))[..16]);
        std::fs::create_dir_all(&folder).map_err(|source| PredictorError::Io {
            path: folder.clone(),
            source,
        })?;
        Ok(LatentCache {
            folder,
            storage,
            frame: shape[0] * shape[1],
            shape,
            memory: Mutex::default(),
        })
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Latents of some frames of an episode, `[F, N, D]`, if it is there. `episode` says all
    /// that tells it from others: dataset, name, camera, length.
    ///
    /// # Errors
    /// When its file is damaged, of another episode, or ends before a frame.
    pub fn get(&self, episode: &str, frames: &[usize]) -> Result<Option<Vec<f32>>, PredictorError> {
        let path = self.path(episode);
        let Some(all) = self.whole(episode, &path)? else {
            return Ok(None);
        };
        let mut latents = Vec::with_capacity(frames.len() * self.frame);
        for &frame in frames {
            let one = all.get(frame * self.frame..(frame + 1) * self.frame);
            latents.extend_from_slice(one.ok_or_else(|| {
                damaged(
                    &path,
                    &format!("it has {} frames, no frame {frame}", all.len() / self.frame),
                )
            })?);
        }
        Ok(Some(latents))
    }

    /// Number of latents of an episode; none when it isn't there.
    ///
    /// # Errors
    /// When its file is damaged or of another episode.
    pub(crate) fn count(&self, episode: &str) -> Result<usize, PredictorError> {
        let all = self.whole(episode, &self.path(episode))?;
        Ok(all.map_or(0, |all| all.len() / self.frame))
    }

    /// Whether an episode is there.
    pub fn has(&self, episode: &str) -> bool {
        self.path(episode).exists()
    }

    /// Stores the latents of all frames of an episode, `[F, N, D]`. The file appears whole.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn put(&self, episode: &str, latents: &[f32]) -> Result<(), PredictorError> {
        let path = self.path(episode);
        let plan = [Planned {
            name: TENSOR.to_owned(),
            dtype: self.storage.dtype(),
            shape: vec![latents.len() / self.frame, self.shape[0], self.shape[1]],
        }];
        let metadata = Metadata::from([("episode".to_owned(), episode.to_owned())]);
        safetensors_file::stream(&path, &plan, &metadata, |_, to| {
            let written = match self.storage {
                LatentStorage::F32 => safetensors_file::write_f32(latents, to),
                LatentStorage::F16 => write_f16(latents, to),
            };
            written.map_err(CheckpointError::io(&path, "writing"))
        })?;
        Ok(())
    }

    fn path(&self, episode: &str) -> PathBuf {
        let name = hexadecimal(&Sha256::digest(episode));
        self.folder.join(format!("{}.safetensors", &name[..24]))
    }

    /// An episode's latents, from memory or disk.
    fn whole(&self, episode: &str, path: &Path) -> Result<Option<Arc<Vec<f32>>>, PredictorError> {
        let lock = || self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latents) = lock().episodes.get(episode) {
            return Ok(Some(Arc::clone(latents)));
        }
        if !path.exists() {
            return Ok(None);
        }
        let (entries, metadata) =
            safetensors_file::open(path, 0).map_err(|e| damaged(path, &e.to_string()))?;
        let of = metadata.get("episode");
        if of.map(String::as_str) != Some(episode) {
            return Err(damaged(path, &format!("it is of {of:?}, not of {episode}")));
        }
        let entry: &Entry = entries
            .get(TENSOR)
            .filter(|e| e.shape.len() == 3 && e.shape[1..] == self.shape)
            .ok_or_else(|| damaged(path, "it has no latents of this encoder's shape"))?;
        let mut latents = vec![0f32; entry.elements()];
        entry
            .read_into(path, &mut latents)
            .map_err(|e| damaged(path, &e.to_string()))?;
        let latents = Arc::new(latents);
        let mut memory = lock();
        let bytes = 4 * latents.len();
        if memory.bytes + bytes <= MEMORY_BYTES {
            let kept = Arc::clone(&latents);
            // Another thread may have read the same episode meanwhile.
            if memory.episodes.insert(episode.to_owned(), kept).is_none() {
                memory.bytes += bytes;
            }
        }
        Ok(Some(latents))
    }
}

fn damaged(path: &Path, what: &str) -> PredictorError {
    PredictorError::File {
        path: path.to_path_buf(),
        what: format!("{what}; delete this file of the latent cache, it is made again"),
    }
}

fn write_f16(values: &[f32], to: &mut dyn Write) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for values in values.chunks(1 << 16) {
        bytes.clear();
        bytes.extend(values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()));
        to.write_all(&bytes)?;
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
#[path = "../tests/unit/latent_cache.rs"]
mod tests;
