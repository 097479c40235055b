//! Unit tests of `src/picture.rs`.

use super::*;

/// A picture of two pixels, red and blue, said to be seen turned by a quarter.
fn turned_jpeg() -> Vec<u8> {
    let mut picture = RgbImage::new(16, 8);
    for (x, _, pixel) in picture.enumerate_pixels_mut() {
        pixel.0 = if x < 8 { [250, 0, 0] } else { [0, 0, 250] };
    }
    let mut jpeg = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    let jpeg = jpeg.into_inner();
    // APP1 with a TIFF directory of one entry: orientation 6, the top is the file's left.
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0".to_vec();
    exif.extend([0; 4]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn a_photograph_is_turned_as_its_camera_was_held_and_told_from_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.png");
    std::fs::write(&path, turned_jpeg()).unwrap();
    let picture = open(&path).unwrap();
    assert_eq!(picture.dimensions(), (8, 16));
    let (top, bottom) = (picture.get_pixel(4, 2).0, picture.get_pixel(4, 13).0);
    assert!(top[0] > 200 && bottom[2] > 200, "{top:?} {bottom:?}");
    let nowhere = open(&folder.path().join("none.png"))
        .unwrap_err()
        .to_string();
    assert!(nowhere.contains("none.png"), "{nowhere}");
}

#[test]
fn a_photograph_that_was_cut_short_is_refused_and_bytes_behind_one_are_not() {
    let whole = turned_jpeg();
    let of = |bytes: &[u8]| decode(Path::new("photo.jpg"), bytes).map_err(|e| e.to_string());
    assert!(of(&[&whole[..], b"and more"].concat()).is_ok());
    // What comes before the scan may hold a thumbnail with an end of its own.
    let thumbnail = [&whole[..2], &[0xff, 0xfe, 0, 4, 0xff, 0xd9], &whole[2..]].concat();
    assert!(of(&thumbnail).is_ok());
    for picture in [whole, thumbnail] {
        let cut = of(&picture[..picture.len() - 4]).unwrap_err();
        assert!(
            cut.contains("photo.jpg") && cut.contains("cut short"),
            "{cut}"
        );
    }
}
