//! Pictures as binary PPM (`P6`), one after the other: how `ffmpeg` hands frames over.

use std::io::{self, ErrorKind, Read};

use image::RgbImage;

/// Frames larger than this on a side are taken for garbage.
const MAX_SIDE: u32 = 16_384;

/// The next picture of a stream; `None` at its end.
///
/// # Errors
/// When the stream is no PPM or ends inside a picture.
pub(crate) fn read(stream: &mut impl Read) -> io::Result<Option<RgbImage>> {
    let mut magic = [0; 2];
    if stream.read(&mut magic[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut magic[1..])?;
    if &magic != b"P6" {
        return Err(garbage());
    }
    let width = number(stream)?;
    let height = number(stream)?;
    // The single blank behind the depth has been read with it; the pixels follow.
    if number(stream)? != 255 || width > MAX_SIDE || height > MAX_SIDE {
        return Err(garbage());
    }
    let mut pixels = vec![0; width as usize * height as usize * 3];
    stream.read_exact(&mut pixels)?;
    Ok(RgbImage::from_raw(width, height, pixels))
}

/// A decimal number between blanks, and the blank behind it.
fn number(stream: &mut impl Read) -> io::Result<u32> {
    let mut value: Option<u32> = None;
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        match (byte[0], value) {
            (digit @ b'0'..=b'9', before) => {
                let next = before.unwrap_or(0).checked_mul(10);
                let next = next.and_then(|v| v.checked_add(u32::from(digit - b'0')));
                value = Some(next.ok_or_else(garbage)?);
            }
            (blank, None) if blank.is_ascii_whitespace() => {}
            (blank, Some(value)) if blank.is_ascii_whitespace() => return Ok(value),
            _ => return Err(garbage()),
        }
    }
}

fn garbage() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "not a stream of PPM pictures")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut bytes: &[u8]) -> io::Result<Vec<RgbImage>> {
        let mut images = Vec::new();
        while let Some(image) = read(&mut bytes)? {
            images.push(image);
        }
        Ok(images)
    }

    #[test]
    fn streams_of_pictures_are_split() {
        let one = b"P6\n2 1\n255\nabcdef".to_vec();
        let two = [one.clone(), b"P6 1 1 255\nxyz".to_vec()].concat();
        let images = all(&two).expect("two pictures");
        assert_eq!(
            (images.len(), images[1].as_raw().as_slice()),
            (2, &b"xyz"[..])
        );
        for cut in 1..one.len() {
            assert!(all(&one[..cut]).is_err(), "{cut}");
        }
        assert!(all(b"P5 1 1 255 x").is_err());
        assert!(all(b"P6 99999999999 1 255 x").is_err());
    }
}
