//! Arrays of numbers out of HDF5 files, with their shapes checked.

use hdf5_pure::File;

/// A dataset's shape and values.
pub(crate) struct Array {
    pub shape: Vec<u64>,
    pub values: Vec<f64>,
}

impl Array {
    /// Checks the shape.
    ///
    /// # Errors
    /// Naming the dataset, its shape and the one it must have.
    pub fn expect(&self, name: &str, shape: &[usize]) -> Result<(), String> {
        if self.shape.len() == shape.len()
            && self.shape.iter().zip(shape).all(|(a, b)| *a == *b as u64)
            && self.values.len() == shape.iter().product::<usize>()
        {
            return Ok(());
        }
        Err(format!(
            "{name} has the shape {:?}, where {shape:?} belongs",
            self.shape
        ))
    }

    /// The values in rows of `N`.
    pub fn rows<const N: usize>(&self) -> impl Iterator<Item = [f64; N]> + '_ {
        self.values.chunks_exact(N).map(|row| {
            let mut out = [0.0; N];
            out.copy_from_slice(row);
            out
        })
    }
}

/// A dataset that must be there.
///
/// # Errors
/// Naming it when it is missing, unreadable or has values that are not finite.
pub(crate) fn required(file: &File, name: &str) -> Result<Array, String> {
    optional(file, name)?.ok_or_else(|| format!("the dataset {name} is missing"))
}

/// A dataset that may be missing.
///
/// # Errors
/// Naming it when it is there but unreadable or has values that are not finite.
pub(crate) fn optional(file: &File, name: &str) -> Result<Option<Array>, String> {
    let Ok(dataset) = file.dataset(name) else {
        return Ok(None);
    };
    let read = || -> Result<Array, hdf5_pure::Error> {
        Ok(Array {
            shape: dataset.shape()?,
            values: dataset.read_f64()?,
        })
    };
    let array = read().map_err(|e| format!("{name} cannot be read: {e}"))?;
    if let Some(at) = array.values.iter().position(|v| !v.is_finite()) {
        return Err(format!(
            "{name} has a value that is not finite, number {at}"
        ));
    }
    Ok(Some(array))
}
