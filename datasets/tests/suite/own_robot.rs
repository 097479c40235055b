//! The converter template of `examples/own_robot.rs` converts, and what it writes can be trained
//! on.

#[path = "../../examples/own_robot.rs"]
mod template;

use std::fmt::Write;
use std::fs;

use foresight_datasets::{ClipOptions, ClipSampler, ClipShape, View};

#[test]
fn the_template_makes_a_dataset_one_can_train_on() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let recordings = folder.path().join("recordings");
    for episode in 0..2 {
        let frames = recordings.join(format!("episode_{episode}/frames"));
        fs::create_dir_all(&frames).expect("made");
        let mut table = String::from("time_s,x,y,z,roll,pitch,yaw,gripper\n");
        for i in 0..40_u32 {
            let x = 0.4 + 0.01 * f64::from(i);
            writeln!(table, "{},{x},0.1,0.3,3.1,0,0,0.25", f64::from(i) / 15.0).expect("text");
            let level = (20 + 5 * i + 3 * episode) as u8;
            let image = image::RgbImage::from_pixel(64, 48, image::Rgb([level; 3]));
            image
                .save(frames.join(format!("{i:06}.png")))
                .expect("saved");
        }
        let table_file = recordings.join(format!("episode_{episode}/poses.csv"));
        fs::write(table_file, table).expect("written");
    }
    let out = folder.path().join("dataset");
    assert_eq!(template::convert(&recordings, &out).expect("converted"), 2);

    let data = foresight_datasets::open(&out).expect("a dataset");
    let shape = ClipShape {
        frames: 4,
        ..ClipShape::default()
    };
    let options = ClipOptions {
        shape,
        ..ClipOptions::default()
    };
    let clips = ClipSampler::new(data, options).expect("clips");
    assert_eq!(clips.episodes(), 2);
    let window = clips.window_at(1, &View::default(), 20).expect("a clip");
    // 4 frames a second of 15: 3.75 rows apart, to the nearest.
    assert_eq!(window.frame_numbers, [20, 24, 27, 31]);
    assert!((window.states[1][0] - 0.64).abs() < 1e-6);
    assert!((window.actions[0][0] - 0.04).abs() < 1e-6);
    let frames = clips.frames(&window).expect("decoded");
    for (k, number) in window.frame_numbers.iter().enumerate() {
        let level = (20 + 5 * number + 3) as u8;
        assert!(frames.frame(k)[600].abs_diff(level) <= 3, "{k}");
    }
}
