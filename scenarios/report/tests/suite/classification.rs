//! What a probe's page counts and says.

use foresight_report::classification::{Classification, Mistake};
use image::RgbImage;

fn classification() -> Classification {
    Classification {
        model: "a <model>".into(),
        clips: "16 frames".into(),
        classes: vec!["open".into(), "shut".into()],
        fitted: vec![10, 30],
        stopping: 8,
        confusion: vec![vec![15, 5], vec![10, 70]],
        best: (1e-3, 2),
        epochs: vec![
            [1e-3, 1.0, 0.7, 0.6, 0.5],
            [1e-3, 2.0, 0.5, 0.4, 0.9],
            [1e-4, 1.0, 0.7, 0.7, 0.5],
        ],
        seed: 4,
    }
}

#[test]
fn shares_are_counted_from_the_confusion() {
    let c = classification();
    let accuracy = c.accuracy();
    assert_eq!((accuracy.right, accuracy.count), (85, 100));
    assert!((accuracy.ci95[0] - 0.7672).abs() < 5e-4);
    assert_eq!(c.majority().right, 80);
    assert_eq!(c.recall(0).value, 0.75);
    assert!((c.balanced() - (0.75 + 0.875) / 2.0).abs() < 1e-12);
    assert_eq!(accuracy.text(), "85.0 % [76.7, 90.7]");
}

#[test]
fn the_page_says_what_was_measured_and_fetches_nothing() {
    let mistakes = [Mistake {
        picture: RgbImage::new(8, 8),
        path: "a<b.mp4".into(),
        truth: "open".into(),
        named: "shut".into(),
        probability: 0.91,
    }];
    let page = classification().html(&mistakes);
    for said in [
        "85.0 % [76.7, 90.7]",
        "a &lt;model&gt;",
        "<b>70</b>",
        "learning rate 1e-4",
        "a&lt;b.mp4: named shut (91 %), shows open",
        "seed 4",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page.contains("http") && !page.contains("<script"));
}
