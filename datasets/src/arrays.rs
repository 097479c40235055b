//! Arrays of numbers out of HDF5 files, with their shapes checked.

use hdf5_pure::{Dataset, File};

/// Values of a dataset, at most: two days of poses at 15 Hz. What a damaged header claims beyond
/// that is not worth the memory of finding out.
const MOST_VALUES: u64 = 1 << 24;

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
    pub(crate) fn check_shape(&self, name: &str, shape: &[usize]) -> Result<(), String> {
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
    pub(crate) fn rows<const N: usize>(&self) -> impl Iterator<Item = [f64; N]> + '_ {
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
    let shape = believable(&dataset, name)?;
    let values = dataset.read_f64();
    let array = Array {
        shape,
        values: values.map_err(|e| format!("{name} cannot be read: {e}"))?,
    };
    if let Some(at) = array.values.iter().position(|v| !v.is_finite()) {
        return Err(format!(
            "{name} has a value that is not finite, number {at}"
        ));
    }
    Ok(Some(array))
}

/// A dataset of bytes that must be there, as text.
///
/// # Errors
/// Naming it when it is missing, unreadable or no text.
pub(crate) fn text(file: &File, name: &str) -> Result<String, String> {
    let unreadable = |e: hdf5_pure::Error| format!("{name}: {e}");
    let dataset = file.dataset(name).map_err(unreadable)?;
    believable(&dataset, name)?;
    let bytes = dataset.read_u8().map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8 text"))
}

/// A dataset's shape, if it can be one of a recording.
fn believable(dataset: &Dataset, name: &str) -> Result<Vec<u64>, String> {
    let unreadable = |e: hdf5_pure::Error| format!("{name} cannot be read: {e}");
    let shape = dataset.shape().map_err(unreadable)?;
    // A chunk is read whole, however little of it the shape asks for.
    let chunk = dataset.chunk_shape().map_err(unreadable)?;
    for (what, sides) in [("the shape", Some(&shape)), ("chunks of", chunk.as_ref())] {
        let Some(sides) = sides else { continue };
        let values = sides.iter().try_fold(1_u64, |n, side| n.checked_mul(*side));
        if values.is_none_or(|n| n > MOST_VALUES) {
            return Err(format!(
                "{name} claims {what} {sides:?}, more than a recording has; its header is damaged"
            ));
        }
    }
    Ok(shape)
}
