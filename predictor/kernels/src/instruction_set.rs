//! What multiplies on this machine, and in which numbers.

use std::fmt;
use std::str::FromStr;

#[cfg(target_arch = "x86_64")]
use crate::amx_detection;

/// In which numbers the networks' matrix products are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Precision {
    /// 32 bits throughout, as the official code by default.
    #[default]
    F32,
    /// Operands of matrix products rounded to bf16, sums and everything between in f32: as the
    /// official code under autocast. f32 on machines that are no faster in bf16.
    Bf16,
}

impl FromStr for Precision {
    type Err = String;

    /// Reads `f32` or `bf16`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Precision::F32),
            "bf16" => Ok(Precision::Bf16),
            _ => Err(format!("{text:?} is no precision; give f32 or bf16")),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        })
    }
}

/// What multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// AMX tiles.
    Amx,
    /// AVX-512 with `vdpbf16ps`.
    Avx512Bf16,
    /// AVX-512.
    Avx512,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// Plain loops.
    Portable,
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InstructionSet::Amx => "AMX",
            InstructionSet::Avx512Bf16 => "AVX-512 bf16",
            InstructionSet::Avx512 => "AVX-512",
            InstructionSet::Avx2 => "AVX2",
            InstructionSet::Portable => "portable",
        })
    }
}

impl FromStr for InstructionSet {
    type Err = String;

    /// Reads `amx`, `avx512-bf16`, `avx512`, `avx2` or `portable`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "amx" => Ok(InstructionSet::Amx),
            "avx512-bf16" => Ok(InstructionSet::Avx512Bf16),
            "avx512" => Ok(InstructionSet::Avx512),
            "avx2" => Ok(InstructionSet::Avx2),
            "portable" => Ok(InstructionSet::Portable),
            _ => Err(format!(
                "{text:?} is no instruction set; give amx, avx512-bf16, avx512, avx2 or portable"
            )),
        }
    }
}

impl InstructionSet {
    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            InstructionSet::Portable => true,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Amx => amx_detection::is_available(),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Bf16 => {
                is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f")
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// What multiplies such numbers somewhere, fastest first.
    pub fn all_for(precision: Precision) -> &'static [InstructionSet] {
        use InstructionSet::{Amx, Avx2, Avx512, Avx512Bf16, Portable};
        match precision {
            Precision::F32 => &[Avx512, Avx2, Portable],
            Precision::Bf16 => &[Amx, Avx512Bf16, Avx2, Portable],
        }
    }

    /// Whether this machine multiplies such numbers with it.
    pub fn multiplies(self, precision: Precision) -> bool {
        InstructionSet::all_for(precision).contains(&self) && self.is_available()
    }

    /// What multiplies such numbers here, however slowly: to find out what they change.
    pub fn for_any(precision: Precision) -> InstructionSet {
        let mut all = InstructionSet::all_for(precision).iter();
        let found = all.find(|set| set.is_available());
        found.copied().unwrap_or(InstructionSet::Portable)
    }

    /// The fastest for f32 on this machine.
    pub fn for_f32() -> InstructionSet {
        InstructionSet::for_any(Precision::F32)
    }

    /// The fastest for bf16, where this machine is faster in it than in f32.
    pub fn for_bf16() -> Option<InstructionSet> {
        if InstructionSet::Amx.is_available() {
            return Some(InstructionSet::Amx);
        }
        // Intel's cores start one `vdpbf16ps` every other cycle and two f32 multiply-adds every
        // cycle: measured, 69 against 143 GFLOP/s. AMD's start two of each.
        (InstructionSet::Avx512Bf16.is_available() && is_amd())
            .then_some(InstructionSet::Avx512Bf16)
    }
}

#[cfg(target_arch = "x86_64")]
fn is_amd() -> bool {
    let id = std::arch::x86_64::__cpuid(0);
    let name = [id.ebx, id.edx, id.ecx].map(u32::to_le_bytes).concat();
    name == b"AuthenticAMD"
}

#[cfg(not(target_arch = "x86_64"))]
fn is_amd() -> bool {
    false
}
