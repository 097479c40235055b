//! Several cameras of a dataset as one, their pictures side by side.

use std::collections::BTreeMap;

use image::imageops::{self, FilterType};
use image::RgbImage;

use crate::entry::{CameraEntry, IndexEntry, PictureStorage};
use crate::error::{DatasetError, Result};
use crate::frames::FrameStack;
use crate::store::{EpisodeExtras, EpisodeStore, Proprioception};
use crate::view::View;

/// A dataset's episodes with one camera, `left`, whose frames are the pictures of several: what a
/// model with `encoder.views` above 1 learns from. Frame `i` is made of every camera's frame `i`, as
/// high as the first one's; pictures of other sizes are brought to that size. Extrinsics are those
/// of the first camera. Episodes that lack one of the cameras are unusable.
pub struct SideBySide {
    store: Box<dyn EpisodeStore>,
    views: Vec<View>,
    entries: Vec<IndexEntry>,
    /// Each entry's number in the store.
    numbers: Vec<usize>,
    unusable: Vec<(String, String)>,
}

impl SideBySide {
    /// The dataset as seen by these cameras, the leftmost first.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] for fewer than two cameras, or one that is named twice.
    pub fn new(store: Box<dyn EpisodeStore>, views: Vec<View>) -> Result<Self> {
        let twice = |(i, view): (usize, &View)| views[..i].contains(view);
        if views.len() < 2 || views.iter().enumerate().any(twice) {
            return Err(DatasetError::Mismatch(
                "pictures side by side need two cameras or more, each named once".into(),
            ));
        }
        let mut unusable = store.unusable().to_vec();
        let (mut entries, mut numbers) = (Vec::new(), Vec::new());
        for (number, entry) in store.episodes().iter().enumerate() {
            match beside(entry, &views) {
                Ok(entry) => {
                    entries.push(entry);
                    numbers.push(number);
                }
                Err(reason) => unusable.push((entry.path.clone(), reason)),
            }
        }
        Ok(SideBySide {
            store,
            views,
            entries,
            numbers,
            unusable,
        })
    }

    /// The one camera there is, by its role or name.
    fn check(&self, episode: usize, view: &View) -> Result<()> {
        let found = self.entries[episode].camera(view);
        found.map(drop).map_err(DatasetError::Mismatch)
    }
}

/// An episode's entry with one camera in place of those of `views`.
fn beside(entry: &IndexEntry, views: &[View]) -> Result<IndexEntry, String> {
    let cameras: Vec<&CameraEntry> = views
        .iter()
        .map(|view| entry.camera(view))
        .collect::<Result<_, _>>()?;
    let names: Vec<&str> = cameras.iter().map(|c| c.name.as_str()).collect();
    let name = names.join("+");
    let [width, height] = picture_size(cameras[0], &views[0]);
    let camera = CameraEntry {
        name: name.clone(),
        storage: PictureStorage::Frames,
        width: width * views.len() as u32,
        height,
        frames: cameras.iter().map(|c| c.frames).min().unwrap_or(0),
        fps: cameras[0].fps,
        plain: true,
        stereo: false,
    };
    Ok(IndexEntry {
        cameras: vec![camera],
        roles: BTreeMap::from([("left".to_owned(), name)]),
        ..entry.clone()
    })
}

/// Width and height of a camera's picture, px.
fn picture_size(camera: &CameraEntry, view: &View) -> [u32; 2] {
    let halves = if view.half.is_some() { 2 } else { 1 };
    [camera.width / halves, camera.height]
}

impl EpisodeStore for SideBySide {
    fn listed(&self) -> (&[IndexEntry], &[(String, String)]) {
        (&self.entries, &self.unusable)
    }

    fn proprioception(&self, episode: usize, view: &View) -> Result<Proprioception> {
        self.check(episode, view)?;
        let measured = self
            .store
            .proprioception(self.numbers[episode], &self.views[0])?;
        Ok(Proprioception {
            frames: self.entries[episode].cameras[0].frames,
            ..measured
        })
    }

    fn frames(&self, episode: usize, view: &View, numbers: &[usize]) -> Result<FrameStack> {
        self.check(episode, view)?;
        let number = self.numbers[episode];
        let seen: Vec<Vec<RgbImage>> = self
            .views
            .iter()
            .map(|view| Ok(self.store.frames(number, view, numbers)?.images().collect()))
            .collect::<Result<_>>()?;
        let moments = seen.iter().map(Vec::len).min().unwrap_or(0);
        let frames: Vec<RgbImage> = (0..moments)
            .map(|i| side_by_side(seen.iter().map(|pictures| &pictures[i])))
            .collect();
        FrameStack::of_images(&frames, None)
    }

    fn extras(&self, episode: usize) -> Result<EpisodeExtras> {
        self.store.extras(self.numbers[episode])
    }
}

/// Pictures from left to right, each brought to the first one's size.
pub fn side_by_side<'a>(pictures: impl ExactSizeIterator<Item = &'a RgbImage>) -> RgbImage {
    let count = pictures.len() as u32;
    let mut frame = RgbImage::default();
    let mut size = (0, 0);
    for (picture, number) in pictures.zip(0..) {
        if number == 0 {
            size = picture.dimensions();
            frame = RgbImage::new(size.0 * count, size.1);
        }
        let left = i64::from(number * size.0);
        if picture.dimensions() == size {
            imageops::replace(&mut frame, picture, left, 0);
        } else {
            let fitted = imageops::resize(picture, size.0, size.1, FilterType::Triangle);
            imageops::replace(&mut frame, &fitted, left, 0);
        }
    }
    frame
}
