//! What a run will take, said before it begins.

use std::fmt;
use std::time::Instant;

use crate::estimate::{available_memory, peak_memory, MemoryEstimate, StepShape};
use crate::{PredictorTrainer, TrainState};
use anyhow::Result;
use foresight_predictor::ComputeDevice;
use serde::Serialize;

use crate::settings::Settings;

/// Memory and time.
#[derive(Debug, Serialize)]
pub struct Estimate {
    /// A process's memory at its peak, bytes; reading and encoding of frames not counted.
    memory: MemoryEstimate,
    /// Their sum, bytes.
    memory_bytes: usize,
    /// The part of that sum that lies on a GPU, bytes.
    gpu_bytes: usize,
    /// What is free now in main memory, bytes.
    available_bytes: Option<usize>,
    /// One step, s, data and encoder not counted.
    step_s: f64,
    /// All steps, s.
    run_s: f64,
    /// Steps of the run.
    steps: usize,
}

/// Computes memory, and measures the time of one micro-batch on a predictor of two blocks.
///
/// # Errors
/// When memory runs out.
pub fn estimate(shape: &StepShape, settings: &Settings, workers: usize) -> Result<Estimate> {
    let memory = shape.memory();
    let own = settings.optimisation.batch_size / workers;
    let micro_batches = own.div_ceil(shape.clips);
    let step_s = shape.seconds()? * micro_batches as f64;
    let on_gpu = matches!(settings.compute.device, ComputeDevice::Cuda(_));
    Ok(Estimate {
        gpu_bytes: if on_gpu {
            memory.kept + memory.working
        } else {
            0
        },
        memory,
        memory_bytes: memory.total(),
        available_bytes: available_memory(),
        step_s,
        run_s: step_s * settings.steps() as f64,
        steps: settings.steps(),
    })
}

/// What one step took.
#[derive(Debug, Serialize)]
pub struct Rehearsal {
    /// The most memory the process held, bytes; absent where the system doesn't say.
    peak_bytes: Option<usize>,
    /// The estimate over that.
    estimate_over_peak: Option<f64>,
    /// Gradients of a micro-batch and the update, s.
    seconds: f64,
}

/// One optimisation step on latents that show nothing.
///
/// # Errors
/// When memory runs out.
pub fn rehearse(
    shape: &StepShape,
    settings: &Settings,
    state: TrainState,
    estimated: &Estimate,
) -> Result<Rehearsal> {
    let mut trainer = PredictorTrainer::with_state(shape.config.clone(), state, *shape.loss)
        .on(shape.device.cloned());
    let batch = shape.batch()?;
    let optimisation = &settings.optimisation;
    let started = Instant::now();
    trainer.compute_gradients(&batch)?;
    let (rate, decay) = (optimisation.schedule.rate(0), optimisation.weight_decay);
    let clip = optimisation.clip_norm;
    trainer.state_mut().update(rate, decay, clip)?;
    let seconds = started.elapsed().as_secs_f64();
    let peak_bytes = peak_memory();
    Ok(Rehearsal {
        estimate_over_peak: peak_bytes.map(|p| estimated.memory_bytes as f64 / p as f64),
        peak_bytes,
        seconds,
    })
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one step of a micro-batch took {}", time(self.seconds))?;
        if let (Some(peak), Some(ratio)) = (self.peak_bytes, self.estimate_over_peak) {
            let gib = peak as f64 / f64::from(1 << 30);
            write!(
                f,
                " and {gib:.2} GiB at its peak; the estimate is {ratio:.2} of that"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = |bytes: usize| bytes as f64 / f64::from(1 << 30);
        let m = &self.memory;
        write!(
            f,
            "takes about {:.2} GiB (weights {:.2}, gradients {:.2}, moments {:.2}, kept for the \
             backward pass {:.2}, working {:.2}; the encoder, while it is needed, beside that)",
            gib(self.memory_bytes),
            gib(m.weights),
            gib(m.gradients),
            gib(m.moments),
            gib(m.kept),
            gib(m.working),
        )?;
        write!(
            f,
            "\nand about {} a step without reading data, {} for {} steps",
            time(self.step_s),
            time(self.run_s),
            self.steps
        )?;
        if self.gpu_bytes > 0 {
            let gpu = gib(self.gpu_bytes);
            write!(f, "\nof the memory, {gpu:.2} GiB on the GPU")?;
        }
        match self.available_bytes {
            Some(free) if free < self.memory_bytes - self.gpu_bytes => write!(
                f,
                "\nthat is more memory than the {:.2} GiB that are free: lower memory.micro_batch, \
                 set memory.recompute = true, train less (trainable), or use data.frames fewer",
                gib(free)
            ),
            _ => Ok(()),
        }
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}
