//! Lossless frames in one flat file: `recordings/frames/<camera>.rgb8`.
//!
//! Recorded frames are small and read thousands of times, so they are stored as they are used:
//! a header of 24 bytes, then every frame's pixels in time order, row-major RGB.
//!
//! | bytes | content |
//! |---|---|
//! | 0..8 | `FSRGB8\r\n` |
//! | 8..12 | format version, u32 little-endian, 1 |
//! | 12..16 | number of frames, u32 little-endian |
//! | 16..20 | height in pixels, u32 little-endian |
//! | 20..24 | width in pixels, u32 little-endian |
//! | 24.. | `[T, H, W, 3]` u8 |

use std::borrow::Cow;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use image::RgbImage;

use crate::error::{DatasetError, Result};
use crate::view::Half;

const MAGIC: &[u8; 8] = b"FSRGB8\r\n";
const VERSION: u32 = 1;
const HEADER: usize = 24;
/// Frames larger than this on a side are taken for a corrupt header.
const MAX_SIDE: u32 = 16_384;

/// Frames of one camera, `[T, H, W, 3]` u8, RGB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameStack {
    height: u32,
    width: u32,
    data: Vec<u8>,
}

impl FrameStack {
    /// An empty stack for frames of this size, px.
    pub fn new(width: u32, height: u32) -> Self {
        FrameStack {
            height,
            width,
            data: Vec::new(),
        }
    }

    /// A stack of pictures, or of one half of each side-by-side stereo picture.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] when their sizes differ.
    pub fn of_images(images: &[RgbImage], half: Option<Half>) -> Result<Self> {
        let mut stack = FrameStack::new(0, 0);
        for (at, image) in images.iter().enumerate() {
            let part = half_of(image, half);
            let (width, height) = part.dimensions();
            if at == 0 {
                (stack.width, stack.height) = (width, height);
            } else if (stack.width, stack.height) != (width, height) {
                return Err(DatasetError::Mismatch(format!(
                    "picture {at} of those asked for is {width}×{height} px, the first {}×{} px; \
                     an episode's pictures have one size",
                    stack.width, stack.height
                )));
            }
            stack.push(part.as_raw())?;
        }
        Ok(stack)
    }

    /// Appends one frame, `[H, W, 3]` u8.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] when its size is not the stack's.
    pub fn push(&mut self, rgb: &[u8]) -> Result<()> {
        if rgb.len() != self.frame_bytes() {
            return Err(DatasetError::Mismatch(format!(
                "a frame of {} bytes cannot join frames of {}×{} px, which have {} bytes",
                rgb.len(),
                self.width,
                self.height,
                self.frame_bytes()
            )));
        }
        self.data.extend_from_slice(rgb);
        Ok(())
    }

    /// Frames' height, px.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Frames' width, px.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Bytes of one frame, `H · W · 3`.
    pub fn frame_bytes(&self) -> usize {
        self.height as usize * self.width as usize * 3
    }

    /// Number of frames, `T`.
    pub fn len(&self) -> usize {
        match self.frame_bytes() {
            0 => 0,
            bytes => self.data.len() / bytes,
        }
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// One frame, `[H, W, 3]` u8.
    pub fn frame(&self, index: usize) -> &[u8] {
        let bytes = self.frame_bytes();
        &self.data[index * bytes..(index + 1) * bytes]
    }

    /// The frames as pictures.
    pub fn images(&self) -> impl Iterator<Item = RgbImage> + '_ {
        (0..self.len()).map(|i| {
            // A frame has as many bytes as its size says: none of these is the default, empty.
            RgbImage::from_raw(self.width, self.height, self.frame(i).to_vec()).unwrap_or_default()
        })
    }

    /// All pixels, `[T, H, W, 3]` u8.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Writes the stack to a file.
    ///
    /// # Errors
    /// [`DatasetError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut bytes = Vec::with_capacity(HEADER + self.data.len());
        bytes.extend_from_slice(MAGIC);
        for field in [VERSION, self.len() as u32, self.height, self.width] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&self.data);
        fs::write(path, bytes).map_err(|e| DatasetError::io("write", path, e))
    }

    /// Reads a stack from a file.
    ///
    /// # Errors
    /// [`DatasetError::Io`], or [`DatasetError::Corrupt`] when the file is not such a stack or
    /// its size is not what its header says.
    pub fn read(path: &Path) -> Result<Self> {
        let mut bytes = fs::read(path).map_err(|e| DatasetError::io("read", path, e))?;
        let shape = parse_header(&bytes, bytes.len() as u64)
            .map_err(|reason| DatasetError::corrupt(path, reason))?;
        bytes.drain(..HEADER);
        Ok(FrameStack {
            height: shape.height,
            width: shape.width,
            data: bytes,
        })
    }

    /// Reads frames by number, in the order asked for, without the others.
    ///
    /// # Errors
    /// As [`FrameStack::read`]; [`DatasetError::Corrupt`] when the file has no such frame.
    pub fn read_some(path: &Path, numbers: &[usize]) -> Result<Self> {
        let shape = FrameStack::read_shape(path)?;
        let io = |e| DatasetError::io("read", path, e);
        let mut file = fs::File::open(path).map_err(io)?;
        let mut stack = FrameStack::new(shape.width, shape.height);
        let mut frame = vec![0; stack.frame_bytes()];
        for &number in numbers {
            if number >= shape.frames as usize {
                return Err(DatasetError::corrupt(
                    path,
                    format!("it has {} frames, not a frame {number}", shape.frames),
                ));
            }
            let at = HEADER as u64 + number as u64 * frame.len() as u64;
            file.seek(SeekFrom::Start(at)).map_err(io)?;
            file.read_exact(&mut frame).map_err(io)?;
            stack.push(&frame)?;
        }
        Ok(stack)
    }

    /// The shape of a stored stack, from its header and its file's size alone.
    ///
    /// # Errors
    /// As [`FrameStack::read`].
    pub fn read_shape(path: &Path) -> Result<FrameShape> {
        let mut file = fs::File::open(path).map_err(|e| DatasetError::io("read", path, e))?;
        let size = file
            .metadata()
            .map_err(|e| DatasetError::io("read", path, e))?
            .len();
        let mut header = Vec::with_capacity(HEADER);
        file.by_ref()
            .take(HEADER as u64)
            .read_to_end(&mut header)
            .map_err(|e| DatasetError::io("read", path, e))?;
        parse_header(&header, size).map_err(|reason| DatasetError::corrupt(path, reason))
    }
}

/// A picture, or one half of a side-by-side stereo picture.
pub(crate) fn half_of(image: &RgbImage, half: Option<Half>) -> Cow<'_, RgbImage> {
    let (width, height) = image.dimensions();
    let left = match half {
        None => return Cow::Borrowed(image),
        Some(Half::Left) => 0,
        Some(Half::Right) => width / 2,
    };
    Cow::Owned(image::imageops::crop_imm(image, left, 0, width / 2, height).to_image())
}

/// The shape of a stored [`FrameStack`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameShape {
    /// Number of frames, `T`.
    pub frames: u32,
    /// Height, px.
    pub height: u32,
    /// Width, px.
    pub width: u32,
}

fn parse_header(header: &[u8], file_bytes: u64) -> Result<FrameShape, String> {
    if header.len() < HEADER {
        return Err(format!(
            "{} bytes are too few for a frame file's header of {HEADER}; it was cut short, \
             record the episode again",
            header.len()
        ));
    }
    if &header[..8] != MAGIC {
        return Err("it is not a frame file (its first bytes are not FSRGB8)".to_owned());
    }
    let field = |index: usize| {
        let at = 8 + index * 4;
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let [version, frames, height, width] = [field(0), field(1), field(2), field(3)];
    if version != VERSION {
        return Err(format!(
            "frame format version {version} is unknown here (this program reads {VERSION})"
        ));
    }
    if !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) {
        return Err(format!(
            "its header says frames of {width}×{height} px, which cannot be"
        ));
    }
    let expected = HEADER as u64
        + u64::from(frames)
            .saturating_mul(u64::from(height) * u64::from(width))
            .saturating_mul(3);
    if expected != file_bytes {
        return Err(format!(
            "its header promises {frames} frames of {width}×{height} px, {expected} bytes, but \
             the file has {file_bytes}; it was cut short or overwritten, record the episode again"
        ));
    }
    Ok(FrameShape {
        frames,
        height,
        width,
    })
}

#[cfg(test)]
#[path = "../tests/unit/frames.rs"]
mod tests;
