//! What a training run says of itself: progress, as CSV and for TensorBoard.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::tensorboard::EventFile;
use foresight_predictor::error::PredictorError;

/// Loss parts by name, in a fixed order.
pub type Parts = Vec<(&'static str, f64)>;

/// Name of the CSV file in a run's folder.
pub const CSV_FILE: &str = "log.csv";
/// Folder of TensorBoard's files in a run's folder.
pub const EVENTS_FOLDER: &str = "tensorboard";
const HEADER: &str =
    "step,seconds,learning_rate,gradient_norm,samples_per_s,data_wait_share,split,part,value";

/// What is shown while training.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub total: usize,
    /// Learning rate of this step.
    pub rate: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Seconds since this process began training.
    pub seconds: f64,
    /// Clips or frames per second since then, over all workers.
    pub samples_per_s: f64,
    /// Share of that time spent waiting for data.
    pub data_wait_share: f64,
    /// Seconds left at this speed.
    pub remaining_s: f64,
    /// Loss parts of this step; empty before the first.
    pub training: Parts,
    /// Held-out loss parts, when this step validated.
    pub validation: Option<Parts>,
}

/// The open files.
#[derive(Debug)]
pub struct Log {
    csv_path: PathBuf,
    csv: File,
    events_folder: PathBuf,
    events: EventFile,
}

impl Log {
    /// Opens the files in a run's folder. A run that goes on after `done` steps keeps what was
    /// said of those and drops what a process that died later had said beyond them.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(folder: &Path, done: usize) -> Result<Self, PredictorError> {
        let csv_path = folder.join(CSV_FILE);
        let events_folder = folder.join(EVENTS_FOLDER);
        let csv = open_csv(&csv_path, done).map_err(io_error(&csv_path))?;
        if done == 0 && events_folder.exists() {
            std::fs::remove_dir_all(&events_folder).map_err(io_error(&events_folder))?;
        }
        let events = EventFile::create(&events_folder, done + usize::from(done > 0))
            .map_err(io_error(&events_folder))?;
        Ok(Log {
            csv_path,
            csv,
            events_folder,
            events,
        })
    }

    /// Appends a step.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, p: &Progress) -> Result<(), PredictorError> {
        self.write_csv(p).map_err(io_error(&self.csv_path))?;
        self.write_events(p).map_err(io_error(&self.events_folder))
    }

    /// One line a part, all in one write.
    fn write_csv(&mut self, p: &Progress) -> io::Result<()> {
        let mut text = String::new();
        for (split, name, value) in parts(p) {
            text += &format!(
                "{},{:.1},{:e},{:.4},{:.2},{:.3},{split},{name},{value:.7}\n",
                p.step, p.seconds, p.rate, p.gradient_norm, p.samples_per_s, p.data_wait_share
            );
        }
        self.csv.write_all(text.as_bytes())
    }

    fn write_events(&mut self, p: &Progress) -> io::Result<()> {
        let mut scalars: Vec<(String, f64)> = parts(p)
            .map(|(split, name, value)| (format!("{split}/{name}"), value))
            .collect();
        if !p.training.is_empty() {
            for (tag, value) in [
                ("run/learning_rate", p.rate),
                ("run/gradient_norm", p.gradient_norm),
                ("run/samples_per_s", p.samples_per_s),
                ("run/data_wait_share", p.data_wait_share),
            ] {
                scalars.push((tag.to_owned(), value));
            }
        }
        let scalars = scalars.iter().map(|(tag, value)| (tag.as_str(), *value));
        self.events.scalars(p.step, scalars)
    }
}

fn parts(p: &Progress) -> impl Iterator<Item = (&'static str, &'static str, f64)> + '_ {
    let of = |split, parts: &'_ [(&'static str, f64)]| {
        let named = move |(name, value): &(&'static str, f64)| (split, *name, *value);
        parts.iter().map(named).collect::<Vec<_>>()
    };
    let validation = p.validation.as_deref().unwrap_or_default();
    let mut all = of("train", &p.training);
    all.extend(of("validation", validation));
    all.into_iter()
}

/// Held-out loss parts the log in a run's folder has of a step; none if it hasn't.
pub fn validation_at(folder: &Path, step: usize) -> Vec<(String, f64)> {
    let text = std::fs::read_to_string(folder.join(CSV_FILE)).unwrap_or_default();
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let [at, .., split, part, value] = fields.as_slice() else {
            return None;
        };
        let wanted = *split == "validation" && at.parse() == Ok(step);
        wanted.then_some(((*part).to_owned(), value.parse().ok()?))
    };
    text.lines().filter_map(of_line).collect()
}

fn open_csv(path: &Path, done: usize) -> io::Result<File> {
    let mut kept = format!("{HEADER}\n");
    if done > 0 && path.exists() {
        let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
        // A line without its end was cut off by the process's death.
        for line in text.split_inclusive('\n').filter(|l| l.ends_with('\n')) {
            let step = line.split(',').next().and_then(|s| s.parse().ok());
            if step.is_some_and(|step: usize| step <= done) {
                kept += line;
            }
        }
    }
    let partial = path.with_extension("csv.partial");
    std::fs::write(&partial, kept)?;
    std::fs::rename(&partial, path)?;
    OpenOptions::new().append(true).open(path)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> PredictorError {
    let path = path.to_path_buf();
    move |source| PredictorError::Io { path, source }
}

#[cfg(test)]
#[path = "../tests/unit/log.rs"]
mod tests;
