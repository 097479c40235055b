//! Camera frames: RGB pixels with the time they were captured, decoded from franka-cam's wire.

use franka_cam::{CameraMsg, Format};
use image::{imageops, Rgb, RgbImage};

/// One camera frame, 8-bit RGB.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The pixels.
    pub image: RgbImage,
    /// When it was captured: ns on the clock of the arm's states (`CLOCK_MONOTONIC` of the
    /// node's host, or a virtual arm's virtual clock).
    pub captured_ns: u64,
}

/// Why camera bytes are not a frame.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// Not a franka-cam message.
    #[error("not a franka-cam frame: {0}")]
    Wire(#[from] franka_cam::DecodeError),
    /// A format this client doesn't decode.
    #[error("format {0} is not supported; configure the camera for mjpeg, yuyv or nv12")]
    Format(String),
    /// The driver flagged the buffer as corrupt.
    #[error("the camera driver flagged the frame as corrupt")]
    Corrupt,
    /// A JPEG that can't be decoded.
    #[error("broken JPEG: {0}")]
    Jpeg(String),
    /// No pixels, or an odd size where chroma is shared between pixels.
    #[error("impossible frame size {width}×{height}")]
    Size {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
}

impl Frame {
    /// Decodes a whole franka-cam sample: header and pixels.
    ///
    /// # Errors
    /// [`FrameError`] when the bytes are not a message of that wire, are flagged corrupt, or in
    /// a format other than MJPEG, YUYV or NV12.
    pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
        let (header, payload) = franka_cam::decode(bytes)?;
        if header.flags.get() & franka_cam::FRAME_ERROR != 0 {
            return Err(FrameError::Corrupt);
        }
        let (width, height) = (
            u32::from(header.width.get()),
            u32::from(header.height.get()),
        );
        let image = match header.format() {
            Some(Format::Mjpeg) => jpeg(payload)?,
            Some(Format::Yuyv) => yuyv(payload, width, height)?,
            Some(Format::Nv12) => nv12(payload, width, height)?,
            Some(other) => return Err(FrameError::Format(other.to_string())),
            None => return Err(FrameError::Format(header.format.to_string())),
        };
        Ok(Frame {
            image,
            captured_ns: capture_ns(&header),
        })
    }

    /// Several cameras' pictures as one frame, from left to right, each brought to the first one's
    /// size; captured when the first was.
    pub(crate) fn side_by_side(mut pictures: Vec<Frame>) -> Frame {
        if pictures.len() == 1 {
            return pictures.remove(0);
        }
        let (width, height) = pictures.first().map_or((0, 0), |f| f.image.dimensions());
        let mut image = RgbImage::new(width * pictures.len() as u32, height);
        for (number, picture) in pictures.iter().enumerate() {
            let left = number as i64 * i64::from(width);
            if picture.image.dimensions() == (width, height) {
                imageops::replace(&mut image, &picture.image, left, 0);
            } else {
                let fitted = imageops::resize(
                    &picture.image,
                    width,
                    height,
                    imageops::FilterType::Triangle,
                );
                imageops::replace(&mut image, &fitted, left, 0);
            }
        }
        Frame {
            image,
            captured_ns: pictures.first().map_or(0, |f| f.captured_ns),
        }
    }
}

/// The capture time on the host's monotonic clock, ns: the driver's stamp when it is on that
/// clock, else the node's own stamp after the buffer was dequeued.
pub(crate) fn capture_ns(header: &CameraMsg) -> u64 {
    if header.flags.get() & franka_cam::TIMESTAMP_MONOTONIC != 0 {
        header.t_capture_ns.get()
    } else {
        header.t_node_ns.get()
    }
}

fn jpeg(payload: &[u8]) -> Result<RgbImage, FrameError> {
    image::load_from_memory_with_format(payload, image::ImageFormat::Jpeg)
        .map(image::DynamicImage::into_rgb8)
        .map_err(|e| FrameError::Jpeg(e.to_string()))
}

/// Two pixels in four bytes: Y0 U Y1 V.
fn yuyv(payload: &[u8], width: u32, height: u32) -> Result<RgbImage, FrameError> {
    let bytes = width as usize * height as usize * 2;
    if width == 0 || height == 0 || !width.is_multiple_of(2) || payload.len() != bytes {
        return Err(FrameError::Size { width, height });
    }
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let at = (y as usize * width as usize + x as usize) * 2;
        let pair = &payload[at - at % 4..];
        rgb_of(payload[at], pair[1], pair[3])
    }))
}

/// A plane of Y, then U and V interleaved at half resolution.
fn nv12(payload: &[u8], width: u32, height: u32) -> Result<RgbImage, FrameError> {
    let (w, h) = (width as usize, height as usize);
    let odd = !w.is_multiple_of(2) || !h.is_multiple_of(2);
    if w == 0 || h == 0 || odd || payload.len() != w * h * 3 / 2 {
        return Err(FrameError::Size { width, height });
    }
    let (luma, chroma) = payload.split_at(w * h);
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as usize, y as usize);
        let at = (y / 2) * w + (x / 2) * 2;
        rgb_of(luma[y * w + x], chroma[at], chroma[at + 1])
    }))
}

/// BT.601, limited range, as webcams deliver it.
fn rgb_of(y: u8, u: u8, v: u8) -> Rgb<u8> {
    let y = 1.164_383 * (f32::from(y) - 16.0);
    let (u, v) = (f32::from(u) - 128.0, f32::from(v) - 128.0);
    let channels = [
        y + 1.596_027 * v,
        y - 0.391_762 * u - 0.812_968 * v,
        y + 2.017_232 * u,
    ];
    Rgb(channels.map(|c| c.round().clamp(0.0, 255.0) as u8))
}
