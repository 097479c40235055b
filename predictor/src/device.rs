//! candle's devices: opened by name, their memory.

use candle_core::{DType, Device};
use candle_nn::VarBuilder;

use crate::compute_device::ComputeDevice;
use crate::error::{PredictorError, Result};
use crate::kernels::Precision;
use crate::parameters::Tensors;
use crate::rollout::Budget;

/// Share of a GPU's free memory that rollouts may take when nothing else is said: candle keeps
/// freed blocks for a while, and cuBLAS wants a workspace.
const SHARE_OF_FREE_MEMORY: f64 = 0.7;

impl ComputeDevice {
    /// The candle device behind it; the CPU for [`ComputeDevice::Cpu`].
    ///
    /// # Errors
    /// When the program was built without CUDA, or no such GPU answers.
    pub fn open(self) -> Result<Device> {
        match self {
            ComputeDevice::Cpu | ComputeDevice::CandleCpu => Ok(Device::Cpu),
            ComputeDevice::Cuda(_) if !cfg!(feature = "cuda") => Err(PredictorError::Device {
                device: self,
                what: "this program was built without CUDA; build it with `cargo build --release --features cuda` (see docs/planning.md), or compute on `cpu`".into(),
            }),
            ComputeDevice::Cuda(ordinal) => {
                Device::new_cuda(ordinal).map_err(|e| PredictorError::Device {
                    device: self,
                    what: format!("no such GPU answers: {}; see what `nvidia-smi` lists, or compute on `cpu`", first_line(&e)),
                })
            }
        }
    }
}

/// candle's error without the trace below it.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().into()
}

/// The type that `precision` stands for on candle's devices.
pub fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    }
}

/// `weights` on a device as `dtype`, for a network to be built from.
///
/// # Errors
/// When the device fails or its memory is too small.
pub fn variables(
    weights: &Tensors,
    device: &Device,
    dtype: DType,
) -> candle_core::Result<VarBuilder<'static>> {
    let moved = weights
        .iter()
        .map(|(name, t)| Ok((name.clone(), t.to_device(device)?.to_dtype(dtype)?)))
        .collect::<candle_core::Result<_>>()?;
    Ok(VarBuilder::from_tensors(moved, dtype, device))
}

/// Memory for rollouts when nothing else is said: most of what a GPU has free, the default of
/// [`Budget`] on a CPU.
pub fn budget(device: &Device) -> Budget {
    match free_memory_mib(device) {
        Some(free) => Budget {
            memory_mib: (free * SHARE_OF_FREE_MEMORY) as usize,
            ..Budget::default()
        },
        None => Budget::default(),
    }
}

#[cfg(feature = "cuda")]
fn free_memory_mib(device: &Device) -> Option<f64> {
    let stream = device.as_cuda_device().ok()?.cuda_stream();
    let (free, _) = stream.context().mem_get_info().ok()?;
    Some(free as f64 / (1024.0 * 1024.0))
}

#[cfg(not(feature = "cuda"))]
fn free_memory_mib(_: &Device) -> Option<f64> {
    None
}

/// Starts a new peak of a GPU's memory; nothing elsewhere.
pub fn reset_peak(device: &Device) {
    #[cfg(feature = "cuda")]
    pool::reset_peak(device);
    #[cfg(not(feature = "cuda"))]
    let _ = device;
}

/// Most memory that candle's tensors took on a GPU since [`reset_peak`], MiB; `None` elsewhere.
pub fn peak_mib(device: &Device) -> Option<f64> {
    #[cfg(feature = "cuda")]
    return pool::peak_mib(device);
    #[cfg(not(feature = "cuda"))]
    {
        let _ = device;
        None
    }
}

/// The driver's own account of the pool that candle allocates from.
#[cfg(feature = "cuda")]
mod pool {
    use candle_core::cuda_backend::cudarc::driver::sys;
    use candle_core::Device;

    const HIGH: sys::CUmemPool_attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;

    fn of(device: &Device) -> Option<sys::CUmemoryPool> {
        let stream = device.as_cuda_device().ok()?.cuda_stream();
        stream.context().bind_to_thread().ok()?;
        let mut pool = std::ptr::null_mut();
        // SAFETY: the context is bound to this thread, and the driver writes one handle.
        let answer =
            unsafe { sys::cuDeviceGetDefaultMemPool(&mut pool, stream.context().cu_device()) };
        answer.result().ok().map(|()| pool)
    }

    pub fn reset_peak(device: &Device) {
        let Some(pool) = of(device) else { return };
        let mut zero = 0u64;
        // SAFETY: the attribute is a 64-bit count, which may be set to 0 to start anew. A driver
        // that refuses keeps the old peak: an upper bound.
        let _ = unsafe { sys::cuMemPoolSetAttribute(pool, HIGH, (&raw mut zero).cast()) };
    }

    pub fn peak_mib(device: &Device) -> Option<f64> {
        let pool = of(device)?;
        let mut bytes = 0u64;
        // SAFETY: the attribute is a 64-bit count.
        let answer = unsafe { sys::cuMemPoolGetAttribute(pool, HIGH, (&raw mut bytes).cast()) };
        answer.result().ok()?;
        Some(bytes as f64 / (1024.0 * 1024.0))
    }
}
