//! A network's parameters in one flat f32 buffer: what the CPU kernels read and training moves.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use crate::error::{PredictorError, Result};
use crate::kernels::{BlockGradients, BlockWeights, PARAMETER_NAMES};
use crate::layout::Entry;

/// Tensors under their official state-dict names.
pub type Tensors = BTreeMap<String, Tensor>;

/// Where weights come from, one tensor at a time: a whole network of them need not be in memory
/// beside what is made of it.
pub trait WeightSource {
    /// The values of the tensor `name`, row-major.
    ///
    /// # Errors
    /// When it is missing or can't be read.
    fn values(&self, name: &str) -> Result<Cow<'_, [f32]>>;
}

impl WeightSource for Parameters {
    fn values(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        Ok(Cow::Borrowed(self.slice(name)))
    }
}

impl WeightSource for Tensors {
    fn values(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        let missing = || PredictorError::Model(format!("there is no tensor {name}"));
        let tensor = self.get(name).ok_or_else(missing)?;
        let flat = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        Ok(Cow::Owned(flat.flatten_all()?.to_vec1()?))
    }
}

/// Named slices of one buffer, in a fixed order.
#[derive(Debug, Clone)]
pub struct Parameters {
    entries: Vec<Entry>,
    ranges: HashMap<String, Range<usize>>,
    values: Vec<f32>,
}

impl Parameters {
    /// All zeros, laid out as `entries`.
    pub fn zeros(entries: Vec<Entry>) -> Self {
        let mut ranges = HashMap::with_capacity(entries.len());
        let mut at = 0;
        for (name, shape) in &entries {
            let len: usize = shape.iter().product();
            ranges.insert(name.clone(), at..at + len);
            at += len;
        }
        Parameters {
            entries,
            ranges,
            values: vec![0.0; at],
        }
    }

    /// Values from `tensors`, any float type, laid out as `entries`; other tensors are ignored.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub fn from_tensors(entries: Vec<Entry>, tensors: &Tensors) -> Result<Self> {
        check(&entries, tensors)?;
        let mut parameters = Parameters::zeros(entries);
        for (name, tensor) in tensors {
            if !parameters.ranges.contains_key(name) {
                continue;
            }
            let flat = tensor
                .to_device(&Device::Cpu)?
                .to_dtype(DType::F32)?
                .flatten_all()?
                .contiguous()?;
            let (storage, layout) = flat.storage_and_layout();
            let candle_core::Storage::Cpu(storage) = &*storage else {
                return Err(PredictorError::Model(format!("{name} is not in memory")));
            };
            let from = &storage.as_slice::<f32>()?[layout.start_offset()..];
            let to = parameters.slice_mut(name);
            to.copy_from_slice(&from[..to.len()]);
        }
        Ok(parameters)
    }

    /// Copies as tensors, under their names.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn to_tensors(&self) -> Result<Tensors> {
        self.entries
            .iter()
            .map(|(name, shape)| {
                let tensor = Tensor::from_slice(self.slice(name), shape.as_slice(), &Device::Cpu)?;
                Ok((name.clone(), tensor))
            })
            .collect()
    }

    /// Names and shapes in buffer order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The whole buffer.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The whole buffer, to write into.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Where `name` lies in the buffer.
    ///
    /// # Panics
    /// When there is no such parameter: names come from [`crate::layout`], so that is a bug.
    pub fn range(&self, name: &str) -> Range<usize> {
        match self.ranges.get(name) {
            Some(range) => range.clone(),
            None => panic!("no parameter is called {name}"),
        }
    }

    /// One parameter's values.
    pub fn slice(&self, name: &str) -> &[f32] {
        &self.values[self.range(name)]
    }

    /// One parameter's values, to write into.
    pub fn slice_mut(&mut self, name: &str) -> &mut [f32] {
        let range = self.range(name);
        &mut self.values[range]
    }

    /// Where the twelve parameters of the block `prefix` lie: one contiguous range.
    pub fn block_range(&self, prefix: &str) -> Range<usize> {
        let first = self.range(&format!("{prefix}.{}", PARAMETER_NAMES[0]));
        let last = self.range(&format!("{prefix}.{}", PARAMETER_NAMES[11]));
        first.start..last.end
    }

    /// The weights of the block `prefix`.
    pub fn block(&self, prefix: &str) -> BlockWeights<'_> {
        BlockWeights::from_array(
            PARAMETER_NAMES.map(|name| self.slice(&format!("{prefix}.{name}"))),
        )
    }
}

/// Whether `tensors` has all of `entries`, in their shapes.
///
/// # Errors
/// Naming the first that is missing or of another shape.
pub fn check(entries: &[Entry], tensors: &Tensors) -> Result<()> {
    for (name, shape) in entries {
        let tensor = tensors
            .get(name)
            .ok_or_else(|| PredictorError::Model(format!("the checkpoint has no tensor {name}")))?;
        if tensor.dims() != shape {
            return Err(PredictorError::Model(format!(
                "tensor {name} is {:?} but the architecture needs {shape:?}",
                tensor.dims()
            )));
        }
    }
    Ok(())
}

/// Cuts a gradient buffer that covers one block (`[parameters of the block]`, in order) into its
/// parameters; `weights` gives their sizes.
pub fn block_gradients<'a>(weights: &BlockWeights, buffer: &'a mut [f32]) -> BlockGradients<'a> {
    let mut rest = buffer;
    BlockGradients::from_array(weights.into_array().map(|weights| {
        let (part, tail) = std::mem::take(&mut rest).split_at_mut(weights.len());
        rest = tail;
        part
    }))
}
