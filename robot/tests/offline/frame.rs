//! Camera frames from franka-cam's wire.

use foresight_robot::{Frame, FrameError};
use franka_cam::{CameraMsg, Capture, Format, TIMESTAMP_MONOTONIC};
use image::Rgb;

fn header(format: Format, width: u16, height: u16, flags: u16) -> CameraMsg {
    let capture = Capture {
        seq: 1,
        flags,
        t_capture_ns: 70,
        t_node_ns: 90,
        t_wall_ns: 0,
    };
    CameraMsg::new(format, width, height, capture)
}

#[test]
fn yuyv_and_nv12_decode_grey_and_red() {
    let msg = header(Format::Yuyv, 2, 1, TIMESTAMP_MONOTONIC).encode(&[126, 128, 235, 128]);
    let frame = Frame::decode(&msg).expect("yuyv");
    assert_eq!(frame.captured_ns, 70);
    assert_eq!(frame.image.into_raw(), [128, 128, 128, 255, 255, 255]);
    let msg = header(Format::Nv12, 2, 2, 0).encode(&[81, 81, 81, 81, 90, 240]);
    let frame = Frame::decode(&msg).expect("nv12");
    let Rgb([r, g, b]) = *frame.image.get_pixel(0, 0);
    assert!(r > 250 && g < 5 && b < 5);
    assert_eq!(frame.captured_ns, 90, "no monotonic flag: the node's stamp");
}

#[test]
fn broken_samples_are_errors_not_panics() {
    assert!(matches!(
        Frame::decode(&[1, 2, 3]),
        Err(FrameError::Wire(_))
    ));
    let jpeg = header(Format::Mjpeg, 4, 4, 0).encode(&[0xff, 0xd8, 1, 2]);
    assert!(matches!(Frame::decode(&jpeg), Err(FrameError::Jpeg(_))));
    let h264 = header(Format::H264, 4, 4, 0).encode(&[0]);
    assert!(matches!(Frame::decode(&h264), Err(FrameError::Format(_))));
    let odd = header(Format::Yuyv, 3, 1, 0).encode(&[0; 6]);
    assert!(matches!(Frame::decode(&odd), Err(FrameError::Size { .. })));
    let flagged = header(Format::Yuyv, 2, 1, franka_cam::FRAME_ERROR).encode(&[0; 4]);
    assert_eq!(Frame::decode(&flagged), Err(FrameError::Corrupt));
}
