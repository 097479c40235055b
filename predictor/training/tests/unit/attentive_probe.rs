//! Unit tests of `src/attentive_probe.rs`.

use super::*;

/// The official steps, one by one, in f64.
fn plainly(config: &AttentiveProbeConfig, p: &Parameters, tokens: &[f32]) -> Vec<f64> {
    let d = config.width;
    let of = |name: &str| -> Vec<f64> {
        let values = p.slice(&format!("pooler.cross_attention_block.{name}"));
        values.iter().map(|v| f64::from(*v)).collect()
    };
    let linear = |x: &[f64], w: &[f64], b: &[f64]| -> Vec<f64> {
        let rows = w.chunks_exact(x.len()).zip(b);
        rows.map(|(w, b)| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b)
            .collect()
    };
    let norm = |x: &[f64], w: &[f64], b: &[f64]| -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / d as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / d as f64;
        let scaled = x.iter().zip(w).zip(b);
        scaled
            .map(|((v, w), b)| (v - mean) / (variance + EPS).sqrt() * w + b)
            .collect()
    };
    let wide = |v: &[f32]| -> Vec<f64> { v.iter().map(|v| f64::from(*v)).collect() };
    let query = wide(p.slice("pooler.query_tokens"));
    let q = linear(&query, &of("xattn.q.weight"), &of("xattn.q.bias"));
    let kv: Vec<Vec<f64>> = tokens
        .chunks_exact(d)
        .map(|token| {
            // The tokens are normalised already.
            let scaled: Vec<f64> = (0..d)
                .map(|i| f64::from(token[i]) * of("norm1.weight")[i] + of("norm1.bias")[i])
                .collect();
            linear(&scaled, &of("xattn.kv.weight"), &of("xattn.kv.bias"))
        })
        .collect();
    let h = d / config.heads;
    let mut y = query.clone();
    for head in 0..config.heads {
        let at = head * h..(head + 1) * h;
        let score = |kv: &Vec<f64>| -> f64 {
            let products = kv[at.clone()].iter().zip(&q[at.clone()]);
            (products.map(|(k, q)| k * q).sum::<f64>() / (h as f64).sqrt()).exp()
        };
        let sum: f64 = kv.iter().map(score).sum();
        for i in at.clone() {
            y[i] += kv.iter().map(|kv| score(kv) / sum * kv[d + i]).sum::<f64>();
        }
    }
    let normed = norm(&y, &of("norm2.weight"), &of("norm2.bias"));
    let hidden = linear(&normed, &of("mlp.fc1.weight"), &of("mlp.fc1.bias"));
    let erf = |x: f64| {
        // By its series.
        let (mut term, mut sum) = (x, x);
        for n in 1..120 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    };
    let active: Vec<f64> = hidden
        .iter()
        .map(|v| 0.5 * v * (1.0 + erf(v / 2f64.sqrt())))
        .collect();
    let mlp = linear(&active, &of("mlp.fc2.weight"), &of("mlp.fc2.bias"));
    let y: Vec<f64> = y.iter().zip(mlp).map(|(a, b)| a + b).collect();
    let bias = wide(p.slice("linear.bias"));
    linear(&y, &wide(p.slice("linear.weight")), &bias)
}

#[test]
fn is_the_official_probe() {
    let config = AttentiveProbeConfig {
        width: 12,
        heads: 3,
        classes: 4,
    };
    let mut parameters = config.initial(3);
    for (i, v) in parameters.values_mut().iter_mut().enumerate() {
        *v = *v * 1.5 + (i as f32 * 0.71).sin() * 0.2;
    }
    let tokens: Vec<f32> = (0..2 * 5 * 12).map(|i| (i as f32 * 1.3).cos()).collect();
    let weights = config.fixed(&parameters).unwrap();
    let got = config.probabilities(&weights, &tokens, 2).unwrap();
    for (clip, got) in got.iter().enumerate() {
        let logits = plainly(&config, &parameters, &tokens[clip * 60..(clip + 1) * 60]);
        let sum: f64 = logits.iter().map(|l| l.exp()).sum();
        for (got, logit) in got.iter().zip(&logits) {
            assert!((f64::from(*got) - logit.exp() / sum).abs() < 2e-6);
        }
    }
    assert!(got[0] != got[1]);
    // 4D + 2D·D + ... as the official constructor has them.
    let count: usize = config
        .layout()
        .iter()
        .map(|(_, s)| s.iter().product::<usize>())
        .sum();
    assert_eq!(count, 12 + 24 + 156 + 312 + 24 + 624 + 588 + 52);
}

#[test]
fn initial_weights_depend_on_the_seed_and_have_the_official_spread() {
    let config = AttentiveProbeConfig {
        width: 64,
        heads: 4,
        classes: 3,
    };
    let a = config.initial(1);
    assert_eq!(a.values(), config.initial(1).values());
    assert_ne!(a.values(), config.initial(2).values());
    let spread = |name: &str| {
        let values = a.slice(name);
        let squares: f32 = values.iter().map(|v| v * v).sum();
        (squares / values.len() as f32).sqrt()
    };
    let block = "pooler.cross_attention_block";
    assert!((spread(&format!("{block}.xattn.kv.weight")) - 0.02).abs() < 1e-3);
    assert!((spread(&format!("{block}.mlp.fc2.weight")) - 0.01414).abs() < 1e-3);
    assert!(a.slice("linear.weight").iter().all(|v| v.abs() <= 0.125));
}
