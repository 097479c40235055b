//! Unit tests of `src/foreseen/gauge.rs`.

use super::*;

#[test]
fn reads_what_was_written_the_same_way_every_time() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let rows: Vec<Vec<f32>> = (0..600)
        .map(|_| (0..12).map(|_| normal(&mut rng)).collect())
        .collect();
    let label = |row: &Vec<f32>| vec![f64::from(0.1 * row[2] + 0.05 * row[7]), 0.5];
    let labels: Vec<Vec<f64>> = rows.iter().map(label).collect();
    let latents: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let options = GaugeOptions {
        steps: 300,
        seed: 5,
    };
    let fit = || Gauge::fit(&latents[..500], &labels[..500], &[0.1, 0.1], options);
    let gauge = fit().expect("fitted");
    let read = gauge.read(&latents[500..]).expect("read");
    let off = read.iter().zip(&labels[500..]);
    let off: f64 = off.map(|(r, l)| (r[0] - l[0]).abs()).sum::<f64>() / 100.0;
    assert!(off < 0.015, "{off} of labels that spread by 0.11");
    assert_eq!(
        fit().expect("fitted").read(&latents[500..]).expect("read"),
        read
    );
}
