//! The numbers that operands of matrix products are made of.

use std::fmt;

use half::bf16;

use crate::approximations::{gelu_exact, gelu_for_bf16};

/// f32 or bf16: how values become such numbers and back.
pub trait Number: Copy + Send + Sync + fmt::Debug + 'static {
    /// Zero.
    const ZERO: Self;

    /// Rounded to nearest even.
    fn round(value: f32) -> Self;

    /// Exact.
    fn widen(self) -> f32;

    /// GELU, with an error well below this number's own rounding.
    fn gelu(x: f32) -> f32;
}

impl Number for f32 {
    const ZERO: f32 = 0.0;

    #[inline(always)]
    fn round(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    #[inline(always)]
    fn gelu(x: f32) -> f32 {
        gelu_exact(x)
    }
}

impl Number for bf16 {
    const ZERO: bf16 = bf16::ZERO;

    #[inline(always)]
    fn round(value: f32) -> bf16 {
        // As bf16::from_f32 for everything but NaN (which stays NaN here unless its payload
        // overflows), without its branch, so that loops vectorise.
        let bits = value.to_bits();
        bf16::from_bits(((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16)
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn gelu(x: f32) -> f32 {
        gelu_for_bf16(x)
    }
}
