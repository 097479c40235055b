//! Encoders of both families.

use super::*;

#[test]
fn encoders_agree_with_the_reference() {
    for (case, (side, patch, width, heads, stem, frames)) in [
        ([32, 48], 16, 36, 3, Stem::Conv3d, 1),
        ([64, 64], 16, 128, 4, Stem::TwoLevel, 9),
        ([28, 42], 14, 68, 2, Stem::Conv3d, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let config = EncoderConfig {
            img_size: side,
            patch_size: patch,
            num_frames: 2,
            tubelet_size: 2,
            embed_dim: width,
            depth: 2,
            num_heads: heads,
            mlp_ratio: 4.0,
            rope: RopeVariant::Tiled,
            stem,
            vjepa2_1: None,
            level: Default::default(),
            views: None,
        };
        let weights = drawn(layout::encoder(&config), Part::Encoder, case as u64);
        let reference = Encoder::new(&config, builder(&weights)).unwrap();
        let [height, width] = side;
        let pixels = Tensor::randn(0f32, 1.0, (frames, 3, height, width), &Device::Cpu).unwrap();
        let wanted =
            values(&normalise_latent(&reference.forward_frames(&pixels).unwrap()).unwrap());
        let pixels = values(&pixels);
        for (backend, bound) in backends() {
            let encoder = backend.encoder(&config, &weights).unwrap();
            let error = difference(&encoder.encode(&pixels, side).unwrap(), &wanted);
            let label = format!("case {case}, {}", name(backend.as_ref()));
            println!("{label}: {error:.1e}");
            assert!(error < bound.latent, "{label}: {error}");
            assert!(encoder.encode(&pixels[1..], side).is_err(), "{label}");
            assert!(encoder.encode(&pixels, [height, 5]).is_err(), "{label}");
        }
    }
}

/// V-JEPA 2.1's encoder, at each of its levels and on grids that are stretched and that are not.
#[test]
fn vjepa21_encoders_agree_with_the_reference() {
    let levels = [EncoderLevel::Last, EncoderLevel::One(1), EncoderLevel::All];
    for (case, level) in levels.into_iter().enumerate() {
        for interpolate_rope in [true, false] {
            let side = [48, 64];
            let config = EncoderConfig {
                views: None,
                img_size: side,
                patch_size: 16,
                num_frames: 2,
                tubelet_size: 2,
                embed_dim: 36,
                depth: 12,
                num_heads: 3,
                mlp_ratio: 4.0,
                rope: RopeVariant::Interleaved,
                stem: Stem::Conv3d,
                vjepa2_1: Some(Vjepa21Options {
                    interpolate_rope,
                    ..Vjepa21Options::default()
                }),
                level,
            };
            let weights = drawn(layout::encoder(&config), Part::Encoder, case as u64);
            let reference = ReferenceEncoder::new(&config, builder(&weights)).unwrap();
            let pixels = Tensor::randn(0f32, 1.0, (3, 3, side[0], side[1]), &Device::Cpu).unwrap();
            let wanted = reference.forward_frames(&pixels).unwrap();
            let wanted = values(&normalise_latent(&wanted).unwrap());
            let pixels = values(&pixels);
            for (backend, bound) in backends() {
                let encoder = backend.encoder(&config, &weights).unwrap();
                let error = difference(&encoder.encode(&pixels, side).unwrap(), &wanted);
                let label = format!("{level:?}, {}", name(backend.as_ref()));
                println!("{label}: {error:.1e}");
                // Rounding adds up over six times as many blocks as above.
                let most = bound.latent * if bound.golden.is_none() { 2.5 } else { 1.0 };
                assert!(error < most, "{label}: {error}");
                let strip = vec![0.0; 3 * 16 * 64];
                assert_eq!(
                    encoder.encode(&strip, [16, 64]).is_err(),
                    interpolate_rope,
                    "{label}"
                );
            }
        }
    }
}

/// Clips of several frames and images, of either family: sizes that don't fit tiles, more tokens than
/// a softmax takes at once, one clip and several.
#[test]
fn clips_and_images_agree_with_the_reference() {
    let modern = |interpolate_rope| {
        Some(Vjepa21Options {
            interpolate_rope,
            ..Vjepa21Options::default()
        })
    };
    let cases = [
        // clips, frames, size, width, heads, stem, family, level
        (
            2,
            6,
            [32, 48],
            36,
            3,
            Stem::Conv3d,
            None,
            EncoderLevel::Last,
        ),
        (
            3,
            4,
            [64, 64],
            32,
            2,
            Stem::TwoLevel,
            None,
            EncoderLevel::Last,
        ),
        (
            1,
            6,
            [208, 304],
            24,
            2,
            Stem::Conv3d,
            None,
            EncoderLevel::Last,
        ),
        (
            3,
            1,
            [48, 64],
            36,
            3,
            Stem::Conv3d,
            modern(true),
            EncoderLevel::Last,
        ),
        (
            2,
            4,
            [48, 64],
            36,
            3,
            Stem::Conv3d,
            modern(false),
            EncoderLevel::All,
        ),
        (
            1,
            10,
            [176, 192],
            36,
            3,
            Stem::Conv3d,
            modern(true),
            EncoderLevel::One(0),
        ),
    ];
    for (case, (clips, frames, side, width, heads, stem, vjepa2_1, level)) in
        cases.into_iter().enumerate()
    {
        let modern = vjepa2_1.is_some();
        let config = EncoderConfig {
            views: None,
            img_size: side,
            patch_size: 16,
            num_frames: 2,
            tubelet_size: 2,
            embed_dim: width,
            depth: if modern { 12 } else { 2 },
            num_heads: heads,
            mlp_ratio: 4.0,
            rope: [RopeVariant::Tiled, RopeVariant::Interleaved][usize::from(modern)],
            stem,
            vjepa2_1,
            level,
        };
        let weights = drawn(layout::encoder(&config), Part::Encoder, case as u64);
        let reference = ReferenceEncoder::new(&config, builder(&weights)).unwrap();
        let shape = (clips, 3, frames, side[0], side[1]);
        let pixels = Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap();
        let wanted = values(&reference.forward(&pixels).unwrap());
        let pixels = values(&pixels);
        let size = [frames, side[0], side[1]];
        for (backend, bound) in backends() {
            let encoder = backend.encoder(&config, &weights).unwrap();
            let error = difference(&encoder.encode_clips(&pixels, size).unwrap(), &wanted);
            let label = format!("case {case}, {}", name(backend.as_ref()));
            println!("{label}: {error:.1e}");
            let rounded = bound.golden.is_none() && modern;
            let most = bound.latent * if rounded { 2.5 } else { 1.0 };
            assert!(error < most, "{label}: {error}");
            assert!(encoder.encode_clips(&pixels[1..], size).is_err(), "{label}");
            let odd = vec![0.0; 3 * 3 * side[0] * side[1]];
            let odd = encoder.encode_clips(&odd, [3, side[0], side[1]]);
            assert!(odd.unwrap_err().to_string().contains("3 frames"), "{label}");
            let image = vec![0.0; 3 * side[0] * side[1]];
            let image = encoder.encode_clips(&image, [1, side[0], side[1]]);
            assert_eq!(image.is_ok(), modern, "{label}");
        }
        // In as many threads as there may be: the same numbers.
        let backend = CpuBackend::on(InstructionSet::for_any(Precision::F32), Precision::F32);
        let encoder = backend.unwrap().encoder(&config, &weights).unwrap();
        let in_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| encoder.encode_clips(&pixels, size).unwrap())
        };
        assert_eq!(in_threads(1), in_threads(5), "case {case}");
    }
}
