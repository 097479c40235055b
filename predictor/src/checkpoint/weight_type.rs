//! Numbers that weights are written in.

use std::fmt;
use std::str::FromStr;

use candle_core::DType;
use serde::{Deserialize, Serialize};

/// The type of written weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightType {
    /// 32 bits.
    F32,
    /// 16 bits, IEEE half precision.
    F16,
    /// 16 bits with the range of 32.
    Bf16,
}

impl WeightType {
    /// candle's name of it.
    pub fn dtype(self) -> DType {
        match self {
            WeightType::F32 => DType::F32,
            WeightType::F16 => DType::F16,
            WeightType::Bf16 => DType::BF16,
        }
    }
}

impl fmt::Display for WeightType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dtype().as_str())
    }
}

impl FromStr for WeightType {
    type Err = String;

    /// Reads `f32`, `f16` or `bf16`.
    fn from_str(text: &str) -> Result<Self, String> {
        let all = [WeightType::F32, WeightType::F16, WeightType::Bf16];
        let found = all.into_iter().find(|t| t.dtype().as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no type of weights; give f32, f16 or bf16"))
    }
}
