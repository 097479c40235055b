//! Unit tests of `src/objectives/sigreg.rs`.

use super::*;

fn samples(scale: f32, shift: f32) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let values: Vec<f32> = (0..2048 * 16)
        .map(|_| {
            let z: f32 = StandardNormal.sample(&mut rng);
            scale * z + shift
        })
        .collect();
    Tensor::from_vec(values, (2048, 16), &Device::Cpu).expect("a tensor")
}

fn value(x: &Tensor) -> f32 {
    let statistic = statistic(x, Sketch::COARSE, 1).expect("a statistic");
    statistic.to_scalar().expect("a number")
}

#[test]
fn only_standard_gaussians_are_near_zero() {
    let standard = value(&samples(1.0, 0.0));
    assert!(standard < 2e-3, "{standard}");
    for (scale, shift) in [(0.0, 0.0), (0.1, 0.0), (3.0, 0.0), (1.0, 1.5)] {
        let other = value(&samples(scale, shift));
        assert!(other > 20.0 * standard, "{scale} {shift}: {other}");
    }
}

/// The definition, operation by operation.
fn reference(x: &Tensor) -> Result<Tensor> {
    let knots = Sketch::COARSE.knots;
    let step = LAST_KNOT / knots as f32;
    let mut sum = Tensor::zeros((), candle_core::DType::F32, x.device())?;
    for knot in 1..=knots {
        let t = f64::from(knot as f32 * step);
        let gaussian = (-t * t / 2.0).exp();
        let turned = (x * t)?;
        let real = (turned.cos()?.mean(0)? - gaussian)?.sqr()?;
        let imaginary = turned.sin()?.mean(0)?.sqr()?;
        let weight = 2.0 * gaussian * f64::from(step);
        sum = (sum + ((real + imaginary)?.mean_all()? * weight)?)?;
    }
    Ok(sum)
}

#[test]
fn one_pass_gives_what_the_definition_gives() {
    let x = candle_core::Var::from_tensor(&samples(1.4, 0.3)).expect("a variable");
    let [ours, definition] = [
        x.apply_op1(EppsPulley::new(Sketch::COARSE)).expect("ours"),
        reference(&x).expect("the definition"),
    ];
    let [got, wanted] = [&ours, &definition].map(|y| y.to_scalar::<f32>().expect("a number"));
    assert!((got - wanted).abs() < 1e-5 * wanted, "{got}, not {wanted}");
    let gradient = |y: &Tensor| -> Vec<f32> {
        let store = y.backward().expect("gradients");
        let gradient = store.get(&x).expect("one of x");
        gradient
            .flatten_all()
            .and_then(|g| g.to_vec1())
            .expect("values")
    };
    let (got, wanted) = (gradient(&ours), gradient(&definition));
    let most = wanted.iter().fold(0f32, |m, v| m.max(v.abs()));
    for (g, w) in got.iter().zip(&wanted) {
        assert!((g - w).abs() < 2e-5 * most, "{g}, not {w}");
    }
}
