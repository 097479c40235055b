//! The f32 tile, written once for vectors of any width.
//!
//! Rows of sums stay in registers while a panel goes by: each step loads two vectors of the panel
//! and multiplies them by one broadcast number a row. A macro rather than a trait, because an
//! intrinsic is inlined only into a function that has its feature enabled.

/// `tile` and `burn` of a unit (see [`super::Element::tile`] and [`super::burn`]) from its features,
/// the lanes of a vector, the rows whose sums stay in registers, the steps unrolled, the registers
/// that `burn` keeps busy, its vector and its intrinsics.
macro_rules! f32_on {
    (
        $feature:literal, lanes $lanes:literal, rows $rows:literal, unrolled $unrolled:literal,
        burning $burning:literal, $vector:ident, $zero:ident, $set:ident, $load:ident,
        $store:ident, $fma:ident
    ) => {
        use super::shape::{InitialSums, Tile, COLUMNS};

        /// Columns that two vectors cover.
        const WIDTH: usize = 2 * $lanes;

        /// What `$rows` rows of sums start from, two vectors wide, from row `top` and column
        /// `side` on.
        #[inline]
        #[target_feature(enable = $feature)]
        pub(super) fn first_sums(
            out: &Tile,
            top: usize,
            side: usize,
            start: InitialSums,
        ) -> [[$vector; 2]; $rows] {
            let mut sums = [[$zero(); 2]; $rows];
            if start == InitialSums::Tile {
                for (y, sums) in sums.iter_mut().enumerate() {
                    let at = (top + y) * COLUMNS + side;
                    let row = &out.0[at..at + WIDTH];
                    // SAFETY: `row` has two vectors of values.
                    unsafe {
                        sums[0] = $load(row.as_ptr());
                        sums[1] = $load(row.as_ptr().add($lanes));
                    }
                }
            }
            sums
        }

        /// Puts sums back where [`first_sums`] took them from.
        #[inline]
        #[target_feature(enable = $feature)]
        pub(super) fn keep(sums: &[[$vector; 2]; $rows], out: &mut Tile, top: usize, side: usize) {
            for (y, sums) in sums.iter().enumerate() {
                let at = (top + y) * COLUMNS + side;
                let row = &mut out.0[at..at + WIDTH];
                // SAFETY: `row` has two vectors of values.
                unsafe {
                    $store(row.as_mut_ptr(), sums[0]);
                    $store(row.as_mut_ptr().add($lanes), sums[1]);
                }
            }
        }

        /// See [`super::Element::tile`].
        ///
        /// # Safety
        /// As there; the machine has the unit's features.
        #[target_feature(enable = $feature)]
        pub(super) unsafe fn tile(
            a: *const f32,
            stride: usize,
            rows: usize,
            panel: *const f32,
            inner: usize,
            start: InitialSums,
            out: &mut Tile,
        ) {
            for top in (0..rows).step_by($rows) {
                for side in (0..COLUMNS).step_by(WIDTH) {
                    let mut sums = first_sums(out, top, side, start);
                    // SAFETY: top + rows ≤ ROWS, k < inner and side + WIDTH ≤ COLUMNS: inside
                    // what the caller vouches for.
                    unsafe {
                        let a = a.add(top * stride);
                        let panel = panel.add(side);
                        let mut step = |k: usize| {
                            let b = panel.add(k * COLUMNS);
                            let (left, right) = ($load(b), $load(b.add($lanes)));
                            for (y, sums) in sums.iter_mut().enumerate() {
                                let a = $set(*a.add(y * stride + k));
                                sums[0] = $fma(a, left, sums[0]);
                                sums[1] = $fma(a, right, sums[1]);
                            }
                        };
                        let whole = inner / $unrolled * $unrolled;
                        for k in (0..whole).step_by($unrolled) {
                            for k in k..k + $unrolled {
                                step(k);
                            }
                        }
                        for k in whole..inner {
                            step(k);
                        }
                    }
                    keep(&sums, out, top, side);
                }
            }
        }

        /// See [`super::burn`].
        ///
        /// # Safety
        /// The machine has the unit's features.
        #[target_feature(enable = $feature)]
        pub(super) unsafe fn burn(rounds: usize) -> f64 {
            let mut sums = [$zero(); $burning];
            let (a, b) = ($set(1.0001), $set(0.5));
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = $fma(a, b, *sum);
                }
            }
            std::hint::black_box(sums);
            (rounds * sums.len() * $lanes * 2) as f64
        }
    };
}

pub(super) use f32_on;
