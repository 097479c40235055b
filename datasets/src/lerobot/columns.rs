//! Columns of Parquet files as numbers and texts, for a range of rows.

use std::fs::File;
use std::ops::Range;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::error::DatasetError;

/// Rows that are read at once; bounds what a damaged file can make us reserve.
const BATCH: usize = 8192;

/// An open Parquet file.
pub struct Columns {
    reader: SerializedFileReader<File>,
    path: PathBuf,
    rows: usize,
}

/// Values of a column, and how many each row has.
struct Values<T> {
    values: Vec<T>,
    per_row: Vec<usize>,
}

impl Columns {
    /// Opens a file.
    ///
    /// # Errors
    /// [`DatasetError::Io`]; [`DatasetError::Corrupt`] when it is no Parquet file.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(|e| DatasetError::io("read", path, e))?;
        guarded(path, || {
            let reader = SerializedFileReader::new(file)
                .map_err(|e| format!("not a readable Parquet file ({e}); it may be cut short"))?;
            let rows = reader.metadata().file_metadata().num_rows();
            let rows = usize::try_from(rows).map_err(|_| "its row count is negative".to_owned())?;
            Ok(Columns {
                reader,
                path: path.to_path_buf(),
                rows,
            })
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether there is a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.leaf(name).is_some()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of a column's only leaf.
    fn leaf(&self, name: &str) -> Option<usize> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let mut leaves = (0..schema.num_columns())
            .filter(|i| schema.column(*i).path().parts().first().map(String::as_str) == Some(name));
        leaves.next().filter(|_| leaves.next().is_none())
    }

    /// Numbers of some rows (also truth values, as 0 and 1), `width` of them in each row.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] when the column is missing, is no such column, or has missing
    /// values or values that are not finite.
    pub fn numbers(
        &self,
        name: &str,
        width: usize,
        rows: Range<usize>,
    ) -> Result<Vec<f64>, DatasetError> {
        guarded(&self.path, || {
            let expected = rows.len();
            let found = self.read(name, rows, |reader, skip, take| {
                Ok(match reader {
                    ColumnReader::BoolColumnReader(r) => {
                        records(r, skip, take)?.map(|v| if *v { 1.0 } else { 0.0 })
                    }
                    ColumnReader::Int32ColumnReader(r) => {
                        records(r, skip, take)?.map(|v| f64::from(*v))
                    }
                    ColumnReader::Int64ColumnReader(r) => {
                        records(r, skip, take)?.map(|v| *v as f64)
                    }
                    ColumnReader::FloatColumnReader(r) => {
                        records(r, skip, take)?.map(|v| f64::from(*v))
                    }
                    ColumnReader::DoubleColumnReader(r) => records(r, skip, take)?.map(|v| *v),
                    _ => return Err(format!("the column {name} has no numbers")),
                })
            })?;
            if found.per_row.len() != expected || found.per_row.iter().any(|n| *n != width) {
                let odd = found.per_row.iter().find(|n| **n != width);
                return Err(match odd {
                    Some(n) => format!("the column {name} has a row of {n} values, not {width}"),
                    None => format!(
                        "the column {name} has {} of {expected} rows",
                        found.per_row.len()
                    ),
                });
            }
            if let Some(at) = found.values.iter().position(|v| !v.is_finite()) {
                return Err(format!(
                    "the column {name} has a value that is not finite, number {at}"
                ));
            }
            Ok(found.values)
        })
    }

    /// Texts of some rows, one list a row.
    ///
    /// # Errors
    /// As [`Columns::numbers`].
    pub fn texts(&self, name: &str, rows: Range<usize>) -> Result<Vec<Vec<String>>, DatasetError> {
        guarded(&self.path, || {
            let expected = rows.len();
            let found = self.read(name, rows, |reader, skip, take| match reader {
                ColumnReader::ByteArrayColumnReader(r) => {
                    let found = records(r, skip, take)?;
                    Ok(found.map(|v| String::from_utf8_lossy(v.data()).into_owned()))
                }
                _ => Err(format!("the column {name} has no texts")),
            })?;
            if found.per_row.len() != expected {
                return Err(format!(
                    "the column {name} has {} of {expected} rows",
                    found.per_row.len()
                ));
            }
            let mut values = found.values.into_iter();
            Ok(found
                .per_row
                .iter()
                .map(|n| values.by_ref().take(*n).collect())
                .collect())
        })
    }

    /// Reads a range of rows, row group by row group.
    fn read<T>(
        &self,
        name: &str,
        rows: Range<usize>,
        read: impl Fn(ColumnReader, usize, usize) -> Result<Values<T>, String>,
    ) -> Result<Values<T>, String> {
        let leaf = self
            .leaf(name)
            .ok_or_else(|| format!("it has no column {name}"))?;
        if rows.end > self.rows {
            return Err(format!(
                "rows up to {} are asked for, and it has {}",
                rows.end, self.rows
            ));
        }
        let mut all = Values {
            values: Vec::new(),
            per_row: Vec::new(),
        };
        let mut begin = 0_usize;
        for number in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(number).map_err(text)?;
            let count = usize::try_from(group.metadata().num_rows())
                .map_err(|_| "a row count is negative".to_owned())?;
            let end = begin.saturating_add(count);
            let (from, to) = (rows.start.max(begin), rows.end.min(end));
            if from < to {
                let reader = group.get_column_reader(leaf).map_err(text)?;
                let part = read(reader, from - begin, to - from)?;
                all.values.extend(part.values);
                all.per_row.extend(part.per_row);
            }
            begin = end;
        }
        Ok(all)
    }
}

impl<T> Values<T> {
    fn map<U>(self, convert: impl Fn(&T) -> U) -> Values<U> {
        Values {
            values: self.values.iter().map(convert).collect(),
            per_row: self.per_row,
        }
    }
}

/// Reads `take` rows after `skip` others.
fn records<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    skip: usize,
    take: usize,
) -> Result<Values<T::T>, String> {
    let skipped = reader.skip_records(skip).map_err(text)?;
    let mut all = Values {
        values: Vec::new(),
        per_row: Vec::new(),
    };
    if skipped != skip {
        return Ok(all);
    }
    while all.per_row.len() < take {
        let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let wanted = (take - all.per_row.len()).min(BATCH);
        let (rows, found, levels) = reader
            .read_records(
                wanted,
                Some(&mut definitions),
                Some(&mut repetitions),
                &mut values,
            )
            .map_err(text)?;
        if rows == 0 {
            break;
        }
        if found != levels {
            return Err("it has missing values where numbers or texts belong".to_owned());
        }
        if repetitions.is_empty() {
            all.per_row.extend(std::iter::repeat_n(1, rows));
        }
        for level in repetitions {
            match (level, all.per_row.last_mut()) {
                (0, _) => all.per_row.push(1),
                (1, Some(count)) => *count += 1,
                _ => return Err("it has lists of lists where plain lists belong".to_owned()),
            }
        }
        all.values.extend(values);
    }
    Ok(all)
}

fn text(error: parquet::errors::ParquetError) -> String {
    format!("it can't be read ({error}); it may be damaged")
}

/// Runs a reader; what it says is about `path`. The Parquet library can panic on damaged pages,
/// which is no reason for a training run to die.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, String>) -> Result<T, DatasetError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|reason| DatasetError::corrupt(path, reason)),
        Err(_) => Err(DatasetError::corrupt(path, "it is damaged")),
    }
}
