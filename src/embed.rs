//! `foresight embed`: features of videos and images from a model's encoder.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use candle_core::DType;
use clap::Args;
use foresight_datasets::{Film, FilmClip, FilmSampling};
use foresight_predictor::array_file::{self, ArrayFormat};
use foresight_predictor::checkpoint::safetensors_file::{write_f32, Planned};
use foresight_predictor::{ClipEncoderOptions, ComputeDevice, EncoderLevel, Precision};
use foresight_training::clip_features::ClipFeatures;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

/// Arguments of `foresight embed`.
#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// Videos, images, folders of images, or folders of recorded episodes.
    #[arg(required = true, value_name = "VIDEO|IMAGE")]
    films: Vec<PathBuf>,
    #[command(flatten)]
    encoder: EncoderArgs,
    #[command(flatten)]
    clips: ClipArgs,
    /// Rate at which frames are taken from a video, Hz; V-JEPA was trained on 4.
    #[arg(
        long,
        value_name = "HZ",
        default_value_t = 4.0,
        conflicts_with = "whole"
    )]
    fps: f64,
    /// One clip a video, its frames spread evenly over all of it.
    #[arg(long, conflicts_with = "stride")]
    whole: bool,
    /// A feature per token instead of the mean over a clip's tokens.
    #[arg(long)]
    tokens: bool,
    /// Where to: a .safetensors or .npz file with arrays `features` [clips, width] or
    /// [clips, tokens, width], `source` (which of the arguments, from 0) and `start_s`.
    #[arg(long)]
    out: PathBuf,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Which encoder, and where it computes.
#[derive(Debug, Args)]
pub(crate) struct EncoderArgs {
    /// Model folder or checkpoint.
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// Which of V-JEPA 2.1's levels: last, all, or 0 (shallowest) to 3; the model's own when absent.
    #[arg(long)]
    pub(crate) level: Option<EncoderLevel>,
    /// Encode every frame of a clip by itself, as planning does: for encoders trained on single frames,
    /// the bundled one among them.
    #[arg(long)]
    pub(crate) apart: bool,
    /// Numbers that products are taken in: f32 or bf16.
    #[arg(long, default_value_t = Precision::F32)]
    precision: Precision,
    /// Where the encoder computes: cpu, cuda, cuda:N or candle-cpu.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
}

impl EncoderArgs {
    /// What is taken from the encoder.
    pub(crate) fn options(&self) -> ClipEncoderOptions {
        ClipEncoderOptions {
            level: self.level,
            apart: self.apart,
            device: self.device,
            precision: self.precision,
        }
    }
}

/// How films are cut.
#[derive(Debug, Args)]
pub(crate) struct ClipArgs {
    /// Frames of a clip.
    #[arg(long, value_name = "FRAMES", default_value_t = 16)]
    pub(crate) clip_length: usize,
    /// Frames from one clip's beginning to the next one's; a clip's length when absent.
    #[arg(long, value_name = "FRAMES")]
    pub(crate) stride: Option<usize>,
}

impl ClipArgs {
    /// Clips at this rate, or over whole films.
    pub(crate) fn sampling(&self, rate_hz: Option<f64>) -> FilmSampling {
        FilmSampling {
            frames: self.clip_length,
            rate_hz,
            stride: self.stride.unwrap_or(self.clip_length),
        }
    }
}

/// A bar over clips, hidden where nobody watches.
pub(crate) fn clip_bar(clips: usize) -> ProgressBar {
    ProgressBar::new(clips as u64).with_style(
        ProgressStyle::with_template("encoding {wide_bar} {pos}/{len} clips, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

/// Runs `foresight embed`.
///
/// # Errors
/// When the model, a film or the output can't be used.
pub(crate) fn run(args: EmbedArgs) -> Result<()> {
    ArrayFormat::of(&args.out)?;
    let sampling = args.clips.sampling((!args.whole).then_some(args.fps));
    let features = ClipFeatures::load(&args.encoder.model, args.encoder.options(), sampling)?;
    let films: Vec<Film> = args
        .films
        .iter()
        .map(|path| Film::open(path))
        .collect::<Result<_, _>>()?;
    let mut clips: Vec<(usize, FilmClip)> = Vec::new();
    for (number, film) in films.iter().enumerate() {
        clips.extend(film.clips(&sampling).into_iter().map(|clip| (number, clip)));
    }
    let grid = features.grid(&films[0])?;
    if args.tokens {
        for film in &films {
            if features.grid(film)? != grid {
                bail!(
                    "{} has another number of tokens than {}: images and videos don't fit one array; \
                     give them to two calls, or leave out --tokens",
                    film.path().display(),
                    films[0].path().display()
                );
            }
        }
    }
    let tokens: usize = grid.iter().product();
    let mut shape = vec![clips.len(), features.width()];
    if args.tokens {
        shape.insert(1, tokens);
    }
    let about = json!({
        "model": args.encoder.model,
        "encoder": features.encoder().config(),
        "computes": features.encoder().computes(),
        "clip_frames": sampling.frames,
        "apart": args.encoder.apart,
        "fps": sampling.rate_hz,
        "stride": sampling.rate_hz.map(|_| sampling.stride),
        "per": if args.tokens { "token" } else { "clip" },
        "grid": args.tokens.then_some(grid),
        "sources": args.films,
    });
    let plan = |name: &str, dtype, shape| Planned {
        name: name.to_owned(),
        dtype,
        shape,
    };
    let arrays = [
        plan("features", DType::F32, shape.clone()),
        plan("source", DType::I64, vec![clips.len()]),
        plan("start_s", DType::F64, vec![clips.len()]),
    ];
    let bar = clip_bar(clips.len());
    array_file::write(&args.out, &arrays, &about.to_string(), |array, to| {
        for (number, clip) in &clips {
            match array.name.as_str() {
                "source" => put(to, &(*number as i64).to_le_bytes(), &args.out)?,
                "start_s" => put(to, &clip.start_s.to_le_bytes(), &args.out)?,
                _ => {
                    let film = &films[*number];
                    let values = match args.tokens {
                        true => features.tokens(film, clip)?,
                        false => features.pooled(film, clip)?,
                    };
                    write_f32(&values, to).with_context(|| args.out.display().to_string())?;
                    bar.inc(1);
                }
            }
        }
        anyhow::Ok(())
    })?;
    bar.finish_and_clear();
    if args.json {
        let mut said = about;
        said["out"] = json!(args.out);
        said["clips"] = json!(clips.len());
        said["shape"] = json!(shape);
        println!("{said}");
    } else {
        println!(
            "features {shape:?} of {} clips from {} films: {}",
            clips.len(),
            films.len(),
            args.out.display()
        );
    }
    Ok(())
}

fn put(to: &mut dyn Write, bytes: &[u8], out: &Path) -> Result<()> {
    to.write_all(bytes)
        .with_context(|| out.display().to_string())
}
