//! An energy that keeps time and what it answered.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use foresight_planner::{ActionSequences, Energy, EnergyError, Gradients};

/// Seconds spent in each call of an energy, and its answers.
pub(crate) struct Timed<E> {
    pub(crate) energy: E,
    /// Seconds in all calls so far.
    pub(crate) seconds: Cell<f64>,
    /// When each call ended, s in energies so far.
    pub(crate) ends: RefCell<Vec<f64>>,
    /// Energies of every call.
    pub(crate) answers: RefCell<Vec<Vec<f32>>>,
}

impl<E> Timed<E> {
    pub(crate) fn new(energy: E) -> Self {
        Timed {
            energy,
            seconds: Cell::new(0.0),
            ends: RefCell::default(),
            answers: RefCell::default(),
        }
    }

    fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.seconds
            .set(self.seconds.get() + started.elapsed().as_secs_f64());
        self.ends.borrow_mut().push(self.seconds.get());
        done
    }
}

impl<E: Energy> Energy for Timed<E> {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let energies = self.time(|| self.energy.energies(sequences))?;
        self.answers.borrow_mut().push(energies.clone());
        Ok(energies)
    }

    fn previews(&self, sequences: &ActionSequences, share: f64) -> Result<Vec<f32>, EnergyError> {
        self.time(|| self.energy.previews(sequences, share))
    }

    fn gradients(&self, sequences: &ActionSequences) -> Result<Gradients, EnergyError> {
        self.time(|| self.energy.gradients(sequences))
    }
}

/// The middle value; the mean of the two middle ones of an even number.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
