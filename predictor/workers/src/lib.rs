//! A planner's candidates shared out among machines.
//!
//! A [`Worker`] offers a world model's encoding and rollouts as zenoh queryables; a [`Team`] finds the workers
//! at the endpoints it is given and [`Team::share`] makes a [`WorldModel`] whose energies are computed by all of
//! them and by this machine. zenoh does discovery, transport and security.
//!
//! | key | asked with | answered with |
//! |---|---|---|
//! | `foresight/workers/<name>/info` | nothing | [`WorkerInfo`], JSON |
//! | `foresight/workers/<name>/encode` | normalised frames `[B, 3, H, W]` | latents `[B, N, D]` |
//! | `foresight/workers/<name>/context` | latent and goal `[N, D]`, weights | nothing |
//! | `foresight/workers/<name>/energies` | a pose and action sequences `[S, H, 7]` | energies `[S]` |
//! | `foresight/workers/<name>/plan` | two pictures' files, a pose, settings | a plan, JSON |
//!
//! Numbers travel as they are in memory (little-endian f32, poses f64), so machines of one kind give one
//! machine's plan bit for bit, however the candidates are shared out. A worker that dies or is late costs its
//! share: the others and this machine compute it again.
//!
//! ```
//! use foresight_workers::{shares, Pace};
//!
//! let pace = |speed, latency_s| Pace { speed, latency_s };
//! // Three places: the second twice as fast, the third silent.
//! let near = [pace(1.0, 0.0), pace(2.0, 0.0), pace(0.0, 0.0)];
//! assert_eq!(shares(9, &near), [0..3, 3..9, 9..9]);
//! // All would be done here before the fast one's first answer could come.
//! assert_eq!(shares(9, &[pace(1.0, 0.0), pace(2.0, 9.0)]), [0..9, 9..9]);
//! ```
//!
//! [`WorldModel`]: foresight_predictor::WorldModel

mod error;
mod message;
mod planning;
mod share;
mod speed;
mod team;
mod worker;

pub use error::WorkersError;
pub use message::WorkerInfo;
pub use share::{shares, Pace};
pub use team::{Team, Traffic};
pub use worker::Worker;
