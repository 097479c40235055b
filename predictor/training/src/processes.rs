//! The processes that train together: one, or those that an MPI launcher started.

use std::rc::Rc;

use crate::workers::{Alone, Workers};
use anyhow::Result;

/// This process's place among the others.
///
/// # Errors
/// When MPI can't be initialised, or a launcher started several processes of a program built
/// without it: each would train by itself.
#[cfg(not(feature = "mpi"))]
pub fn join() -> Result<Rc<dyn Workers>> {
    let started = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]
        .into_iter()
        .find_map(|name| Some((name, std::env::var(name).ok()?.parse::<usize>().ok()?)));
    if let Some((name, size)) = started.filter(|(_, size)| *size > 1) {
        anyhow::bail!(
            "{size} processes were started together ({name}), but this program was built without \
             MPI: build it with `--features mpi`, or start one process"
        );
    }
    Ok(Rc::new(Alone))
}

#[cfg(feature = "mpi")]
pub use of_mpi::join;

#[cfg(feature = "mpi")]
mod of_mpi {
    use super::{Alone, Rc, Result, Workers};
    use anyhow::{bail, Context};
    use foresight_predictor::PredictorError;
    use mpi::collective::SystemOperation;
    use mpi::environment::Universe;
    use mpi::topology::SimpleCommunicator;
    use mpi::traits::{Communicator, CommunicatorCollectives};
    use mpi::Threading;

    /// Gradients exchanged at a time.
    const VALUES_AT_ONCE: usize = 1 << 20;

    /// This process's place among those the MPI launcher started.
    ///
    /// # Errors
    /// When MPI can't be initialised.
    pub fn join() -> Result<Rc<dyn Workers>> {
        let (universe, threading) = mpi::initialize_with_threading(Threading::Funneled)
            .context("MPI was initialised twice in this process")?;
        let world = universe.world();
        if world.size() == 1 {
            return Ok(Rc::new(Alone));
        }
        if threading < Threading::Funneled {
            bail!("this MPI can't be used by programs with threads; install another build of it");
        }
        Ok(Rc::new(Mpi {
            world,
            _universe: universe,
        }))
    }

    struct Mpi {
        world: SimpleCommunicator,
        /// Ends MPI when it is dropped, after the last message.
        _universe: Universe,
    }

    impl std::fmt::Debug for Mpi {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "MPI process {} of {}", self.rank(), self.size())
        }
    }

    // A process that is gone makes MPI end the others, so no method fails here.
    impl Workers for Mpi {
        fn rank(&self) -> usize {
            self.world.rank() as usize
        }

        fn size(&self) -> usize {
            self.world.size() as usize
        }

        fn average(&self, values: &mut [f32]) -> Result<(), PredictorError> {
            let mut sum = vec![0f32; VALUES_AT_ONCE.min(values.len())];
            let share = 1.0 / self.size() as f32;
            for values in values.chunks_mut(VALUES_AT_ONCE) {
                let sum = &mut sum[..values.len()];
                self.world
                    .all_reduce_into(&*values, sum, SystemOperation::sum());
                for (value, sum) in values.iter_mut().zip(sum) {
                    *value = *sum * share;
                }
            }
            Ok(())
        }

        fn average_parts(&self, values: &mut [f64]) -> Result<(), PredictorError> {
            let mut sum = vec![0f64; values.len()];
            self.world
                .all_reduce_into(&*values, &mut sum[..], SystemOperation::sum());
            for (value, sum) in values.iter_mut().zip(sum) {
                *value = sum / self.size() as f64;
            }
            Ok(())
        }

        fn any(&self, said: bool) -> Result<bool, PredictorError> {
            let mut together = 0u8;
            self.world
                .all_reduce_into(&u8::from(said), &mut together, SystemOperation::max());
            Ok(together != 0)
        }
    }
}
