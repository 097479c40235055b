//! The name of a device that a model computes on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a model computes. Written `cpu`, `cuda`, `cuda:N` or `candle-cpu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ComputeDevice {
    /// The CPU, on our kernels.
    #[default]
    Cpu,
    /// The NVIDIA GPU of this number, through candle.
    Cuda(usize),
    /// The CPU through candle: what a GPU does, without one. Slow; shows that both ways agree.
    CandleCpu,
}

impl fmt::Display for ComputeDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ComputeDevice::Cpu => f.write_str("cpu"),
            ComputeDevice::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            ComputeDevice::CandleCpu => f.write_str("candle-cpu"),
        }
    }
}

impl From<ComputeDevice> for String {
    fn from(device: ComputeDevice) -> Self {
        device.to_string()
    }
}

impl TryFrom<String> for ComputeDevice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for ComputeDevice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} is no device; give cpu, cuda, cuda:N or candle-cpu");
        match text {
            "cpu" => Ok(ComputeDevice::Cpu),
            "cuda" => Ok(ComputeDevice::Cuda(0)),
            "candle-cpu" => Ok(ComputeDevice::CandleCpu),
            _ => {
                let ordinal = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                let digits = ordinal.bytes().all(|b| b.is_ascii_digit());
                let ordinal = ordinal.parse().ok().filter(|_| digits);
                ordinal.map(ComputeDevice::Cuda).ok_or_else(unknown)
            }
        }
    }
}
