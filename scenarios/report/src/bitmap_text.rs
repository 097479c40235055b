//! Words in pictures, in an 8×8 bitmap font.

use font8x8::legacy::BASIC_LEGACY;
use image::{Rgb, RgbImage};

/// Height and width of a letter at scale 1, px.
pub(crate) const LETTER_PX: u32 = 8;

/// Writes ASCII text with its upper left corner at `(x, y)`; other characters become `?`.
/// What does not fit is cut off.
pub(crate) fn write(image: &mut RgbImage, x: i64, y: i64, scale: u32, colour: Rgb<u8>, text: &str) {
    for (k, c) in text.chars().enumerate() {
        let glyph = BASIC_LEGACY
            .get(c as usize)
            .unwrap_or(&BASIC_LEGACY['?' as usize]);
        let left = x + k as i64 * i64::from(LETTER_PX * scale);
        for (row, bits) in glyph.iter().enumerate() {
            for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                for dy in 0..scale {
                    for dx in 0..scale {
                        let at_x = left + i64::from(column * scale + dx);
                        let at_y = y + i64::from(row as u32 * scale + dy);
                        if let (Ok(at_x), Ok(at_y)) = (u32::try_from(at_x), u32::try_from(at_y)) {
                            if at_x < image.width() && at_y < image.height() {
                                image.put_pixel(at_x, at_y, colour);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Width of a text, px.
pub(crate) fn width(text: &str, scale: u32) -> u32 {
    text.chars().count() as u32 * LETTER_PX * scale
}

#[cfg(test)]
#[path = "../tests/unit/bitmap_text.rs"]
mod tests;
