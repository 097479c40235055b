//! Arrays of numbers out of HDF5 files, with their shapes checked.

use half::f16;
use hdf5_pure::{Dataset, Datatype, DatatypeByteOrder, File};

mod links;

use links::Link;

/// Values of a dataset, at most: two days of poses at 15 Hz. What a damaged header claims beyond
/// that is not worth the memory of finding out.
const MOST_VALUES: u64 = 1 << 24;
/// Soft links followed from one dataset, at most; ends a loop of links.
const MOST_LINKS: usize = 8;

/// A dataset's shape and values.
pub(crate) struct Array {
    pub shape: Vec<u64>,
    pub values: Vec<f64>,
}

impl Array {
    /// Checks the shape; sides of one don't count, so that `[T, 1]` is `[T]`.
    ///
    /// # Errors
    /// Naming the dataset, its shape and the one it must have.
    pub(crate) fn check_shape(&self, name: &str, shape: &[usize]) -> Result<(), String> {
        let found = self.shape.iter().copied().filter(|side| *side != 1);
        let wanted = shape.iter().map(|side| *side as u64);
        if found.eq(wanted.filter(|side| *side != 1))
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
/// Naming it when it is there but unreadable, a link that leads nowhere, or has values that are
/// not finite.
pub(crate) fn optional(file: &File, name: &str) -> Result<Option<Array>, String> {
    let Some(dataset) = find(file, name)? else {
        return Ok(None);
    };
    let shape = believable(&dataset, name)?;
    let array = Array {
        shape,
        values: values(&dataset).map_err(|e| unreadable(name, &e))?,
    };
    if let Some(at) = array.values.iter().position(|v| !v.is_finite()) {
        return Err(format!(
            "{name} has a value that is not finite, number {at}"
        ));
    }
    Ok(Some(array))
}

/// A dataset that nobody needs: one that can't be used is as good as missing, and `notes` gets
/// the reason.
pub(crate) fn dispensable(
    file: &File,
    name: &str,
    shape: &[usize],
    notes: &mut Vec<String>,
) -> Option<Array> {
    let found = optional(file, name).and_then(|array| {
        if let Some(array) = &array {
            array.check_shape(name, shape)?;
        }
        Ok(array)
    });
    found.unwrap_or_else(|reason| {
        notes.push(format!("{reason}; it is left out"));
        None
    })
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

/// All numbers, whatever their type.
fn values(dataset: &Dataset) -> Result<Vec<f64>, String> {
    let text = |e: hdf5_pure::Error| e.to_string();
    match dataset.datatype().map_err(text)? {
        Datatype::FloatingPoint {
            size: 2,
            byte_order,
            ..
        } => {
            let bytes = dataset.read_raw().map_err(text)?;
            let of = |two: &[u8]| match byte_order {
                DatatypeByteOrder::BigEndian => f16::from_be_bytes([two[0], two[1]]).to_f64(),
                _ => f16::from_le_bytes([two[0], two[1]]).to_f64(),
            };
            Ok(bytes.chunks_exact(2).map(of).collect())
        }
        // Truth values, as h5py stores them.
        Datatype::Enumeration { size: 1, .. } => {
            let bytes = dataset.read_raw().map_err(text)?;
            Ok(bytes.into_iter().map(f64::from).collect())
        }
        Datatype::FixedPoint { .. } | Datatype::FloatingPoint { .. } => {
            dataset.read_f64().map_err(text)
        }
        other => {
            let kind = match other {
                Datatype::Compound { .. } => "a compound type of several members",
                Datatype::Array { .. } => "arrays in each element",
                Datatype::VariableLength { .. } => "elements of variable length",
                Datatype::String { .. } => "texts",
                Datatype::BitField { .. } => "bit fields",
                Datatype::Opaque { .. } => "bytes of an unknown type",
                Datatype::Reference { .. } => "references",
                _ => "a type of its own",
            };
            Err(format!("it holds {kind}, no plain numbers"))
        }
    }
}

/// A dataset by its path, through soft links too, which the HDF5 library passes over.
///
/// # Errors
/// Naming a link that leads to no dataset of the file.
fn find(file: &File, name: &str) -> Result<Option<Dataset>, String> {
    let broken = |why: &str| {
        format!(
            "{name} is a link that can't be followed: {why}; store the dataset itself there, or \
             take the link out"
        )
    };
    let mut path = name.to_owned();
    for _ in 0..MOST_LINKS {
        if let Ok(dataset) = file.dataset(&path) {
            return Ok(Some(dataset));
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let Some((at, link)) = links::first(file, &parts) else {
            return match path == name {
                true => Ok(None),
                false => Err(broken(&format!("it leads to {path}, where no dataset is"))),
            };
        };
        let Link::Soft(target) = link else {
            return Err(broken("it leads into another file"));
        };
        let (from, behind) = match target.strip_prefix('/') {
            Some(from_root) => (&parts[..0], from_root),
            None => (&parts[..at], target.as_str()),
        };
        let led = [from, &[behind], &parts[at + 1..]].concat();
        path = led.join("/");
    }
    Err(broken("it leads back to itself"))
}

/// Why a dataset can't be read, and what to do: HDF5 can store one array in many ways, and h5py reads all
/// of them.
fn unreadable(name: &str, error: &impl ToString) -> String {
    let error = error.to_string();
    let remedy = match error.contains("data layout version: 5") {
        true => "that is compressed data in HDF5 2.0's own layout; ",
        false => "",
    };
    format!(
        "{name} cannot be read: {error}; {remedy}if h5py reads it, store it anew as plain float64, \
         in a file opened with libver=(\"earliest\", \"v114\")"
    )
}

/// A dataset's shape, if it can be one of a recording.
fn believable(dataset: &Dataset, name: &str) -> Result<Vec<u64>, String> {
    let unreadable = |e: hdf5_pure::Error| unreadable(name, &e);
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
