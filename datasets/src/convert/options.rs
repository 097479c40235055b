//! What is converted and how: episodes, cameras and their names, sizes.

use image::imageops::{resize, FilterType};

use crate::entry::IndexEntry;
use crate::error::{DatasetError, Result};
use crate::split::Split;
use crate::store::{EpisodeStore, OnBadEpisode};
use crate::video::VideoCodec;
use crate::view::{Half, Role, View};

/// Frames decoded at once; bounds the memory of large pictures.
pub(super) const AT_ONCE: usize = 32;

/// How datasets are converted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConvertOptions {
    /// Cameras; those the first episode has when empty.
    pub views: Vec<View>,
    /// Frames a second of a LeRobot dataset; the first episode's rate when absent. Faster
    /// recordings are thinned by their true times, slower ones can't be taken.
    pub fps: Option<u32>,
    /// Width and height of the pictures, px; as they are when absent.
    pub size: Option<(u32, u32)>,
    /// How videos are compressed.
    pub codec: VideoCodec,
    /// What to do with episodes that can't be converted.
    pub on_bad_episode: OnBadEpisode,
    /// At most this many episodes.
    pub limit: Option<usize>,
}

impl ConvertOptions {
    /// The episodes of a dataset that are converted: those recorded for validation last, as
    /// formats that name ranges want it.
    pub(super) fn chosen(&self, store: &dyn EpisodeStore) -> Vec<usize> {
        let entries = store.episodes();
        let limit = self.limit.unwrap_or(usize::MAX);
        let mut chosen: Vec<usize> = (0..entries.len().min(limit)).collect();
        chosen.sort_by_key(|i| entries[*i].split == Some(Split::Validation));
        chosen
    }
}

/// The cameras asked for, or those all episodes have: by role where they have one.
pub(super) fn views<'a>(
    mut entries: impl Iterator<Item = &'a IndexEntry> + Clone,
    options: &ConvertOptions,
) -> Result<Vec<View>> {
    let named = &options.views;
    if let Some((_, view)) = (named.iter().enumerate()).find(|(at, v)| named[..*at].contains(v)) {
        return Err(DatasetError::Mismatch(format!(
            "the camera {view} is named twice; name each once"
        )));
    }
    if !named.is_empty() {
        return Ok(named.clone());
    }
    let others = entries.clone();
    let Some(first) = entries.next() else {
        return Ok(Vec::new());
    };
    let mut views: Vec<View> = Vec::new();
    let mut taken: Vec<&str> = Vec::new();
    let whole = |role| View { role, half: None };
    for role in [Role::Left, Role::Right, Role::Wrist] {
        let view = whole(role);
        if let Ok(camera) = first.camera(&view) {
            if !taken.contains(&camera.name.as_str()) {
                taken.push(&camera.name);
                views.push(view);
            }
        }
    }
    for camera in first.cameras.iter().filter(|c| c.plain) {
        if !taken.contains(&camera.name.as_str()) {
            views.push(whole(Role::Named(camera.name.clone())));
        }
    }
    if views.is_empty() {
        return Err(DatasetError::Mismatch(format!(
            "{} has no plain camera; name one, e.g. left:stereo-left",
            first.path
        )));
    }
    let shared = views
        .iter()
        .filter(|view| others.clone().all(|e| e.camera(view).is_ok()));
    let shared: Vec<View> = shared.cloned().collect();
    Ok(if shared.is_empty() { views } else { shared })
}

/// A camera's name in LeRobot's edition of DROID.
pub(super) fn lerobot_name(view: &View) -> String {
    let lens = match view.half {
        Some(Half::Right) => "right",
        _ => "left",
    };
    match &view.role {
        Role::Left => format!("exterior_1_{lens}"),
        Role::Right => format!("exterior_2_{lens}"),
        Role::Wrist => format!("wrist_{lens}"),
        Role::Named(name) => match view.half {
            None => name.clone(),
            Some(_) => format!("{name}_{lens}"),
        },
    }
}

/// Hands over some of an episode's frames, a few at a time. Returns the size of one that was stretched: that had
/// another shape.
pub(super) fn each_frame(
    store: &dyn EpisodeStore,
    episode: usize,
    view: &View,
    numbers: &[usize],
    (width, height): (u32, u32),
    put: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Option<(u32, u32)>> {
    let mut stretched = None;
    for some in numbers.chunks(AT_ONCE) {
        let stack = store.frames(episode, view, some)?;
        for image in stack.images() {
            if image.dimensions() == (width, height) {
                put(image.as_raw())?;
            } else {
                let (w, h) = image.dimensions();
                // More than a pixel of rounding in a hundred.
                let [kept, asked] =
                    [[w, height], [h, width]].map(|[a, b]| u64::from(a) * u64::from(b));
                if kept.abs_diff(asked) * 100 > kept {
                    stretched = Some((w, h));
                }
                put(resize(&image, width, height, FilterType::Triangle).as_raw())?;
            }
        }
    }
    Ok(stretched)
}
