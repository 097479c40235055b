//! The energy landscape around an action: what the search descends, on a regular grid.
//!
//! `notebooks/energy_landscape_example.ipynb` of the official code asks for the energy of every
//! translation on a cube (rotations and gripper at rest, the same action at every step) and shows
//! the sum over y as a picture over x and z. The paper shows the plane Δz = 0.

use crate::energy::{ActionSequences, Energy, EnergyError};
use crate::pose::Action;

/// Energies of translations on a cube around standing still.
#[derive(Debug, Clone, PartialEq)]
pub struct Landscape {
    /// Grid points along each axis, `n`.
    pub side: usize,
    /// The cube reaches from minus to plus this along each axis, m a step.
    pub half_width_m: f64,
    /// Energies `[n, n, n]`: Δx slowest, Δz fastest.
    pub energies: Vec<f32>,
}

/// Grid point `index` of `side` points from `-half_width` to `half_width`.
///
/// As `numpy.linspace` computes it, so that the notebook's grid comes out to the last bit.
pub fn grid_point(index: usize, side: usize, half_width: f64) -> f64 {
    if side < 2 {
        return 0.0;
    }
    if index + 1 == side {
        return half_width;
    }
    let step = 2.0 * half_width / (side - 1) as f64;
    -half_width + index as f64 * step
}

impl Landscape {
    /// Asks for all energies of the cube; every sequence repeats its translation `repeat` times.
    /// A cube of one point is standing still alone.
    ///
    /// # Errors
    /// [`EnergyError`] when the model behind the energy fails.
    pub fn compute(
        energy: &dyn Energy,
        side: usize,
        half_width_m: f64,
        repeat: usize,
    ) -> Result<Self, EnergyError> {
        let side = side.max(1);
        let mut sequences = ActionSequences::zeros(side.pow(3), repeat.max(1));
        let place = |i: usize| grid_point(i, side, half_width_m) as f32;
        for sample in 0..side.pow(3) {
            let [x, y, z] = coordinates(sample, side).map(place);
            for step in 0..repeat.max(1) {
                sequences.action_mut(sample, step)[..3].copy_from_slice(&[x, y, z]);
            }
        }
        Ok(Landscape {
            side,
            half_width_m,
            energies: energy.energies(&sequences)?,
        })
    }

    /// The translation of energy number `index`, m a step.
    pub fn translation_m(&self, index: usize) -> [f64; 3] {
        coordinates(index, self.side).map(|i| grid_point(i, self.side, self.half_width_m))
    }

    /// The plane of smallest |Δz| as `[n, n]`, Δx slowest; Δz is 0 there when `side` is odd.
    pub fn plane_xy(&self) -> Vec<f32> {
        let (n, middle) = (self.side, self.side / 2);
        (0..n * n)
            .map(|xy| self.energies[xy * n + middle])
            .collect()
    }

    /// The notebook's picture: the sum over y as `[n, n]`, Δx slowest, Δz fastest.
    pub fn sum_over_y(&self) -> Vec<f64> {
        let n = self.side;
        let sum = |x: usize, z: usize| {
            let along = (0..n).map(|y| f64::from(self.energies[(x * n + y) * n + z]));
            along.sum::<f64>()
        };
        (0..n * n).map(|xz| sum(xz / n, xz % n)).collect()
    }

    /// The translation with the lowest energy, m a step, and its energy; `None` when no energy
    /// is a number.
    pub fn minimum(&self) -> Option<([f64; 3], f32)> {
        let at = crate::search::lowest(&self.energies, 1).first().copied()?;
        let energy = self.energies[at];
        (!energy.is_nan()).then(|| (self.translation_m(at), energy))
    }
}

impl Landscape {
    /// The axes, of x, y and z, along which a translation, m a step, lies on the cube's edge: where
    /// the lowest energy does, a lower one may lie beyond.
    pub fn edges(&self, translation_m: [f64; 3]) -> Vec<&'static str> {
        let at_edge = |v: f64| v.abs() >= self.half_width_m * (1.0 - 1e-9);
        let axes = ["x", "y", "z"].into_iter().zip(translation_m);
        let axes = axes.filter(|(_, v)| self.side > 1 && at_edge(*v));
        axes.map(|(axis, _)| axis).collect()
    }
}

fn coordinates(index: usize, side: usize) -> [usize; 3] {
    [index / (side * side), index / side % side, index % side]
}

/// Energies on a plane through an action: component `across` slowest, `up` fastest, each from
/// minus to plus `half_width`, all other components those of `through`. `[side, side]`.
///
/// # Errors
/// [`EnergyError`] when the model behind the energy fails.
pub fn plane_through(
    energy: &dyn Energy,
    through: &Action,
    [across, up]: [usize; 2],
    side: usize,
    half_width: f64,
) -> Result<Vec<f32>, EnergyError> {
    let mut sequences = ActionSequences::zeros(side * side, 1);
    for sample in 0..side * side {
        let action = sequences.action_mut(sample, 0);
        for (value, component) in action.iter_mut().zip(through.to_array()) {
            *value = component as f32;
        }
        action[across] = grid_point(sample / side, side, half_width) as f32;
        action[up] = grid_point(sample % side, side, half_width) as f32;
    }
    energy.energies(&sequences)
}
