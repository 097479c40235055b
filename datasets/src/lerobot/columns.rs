//! Columns of Parquet files as numbers and texts, for a range of rows.

use std::fs::File;
use std::ops::Range;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use half::f16;
use parquet::basic::{ConvertedType, LogicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::error::{DatasetError, Result};

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
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| DatasetError::io("read", path, e))?;
        guarded(path, || {
            let reader = SerializedFileReader::new(file).map_err(|e| match unfinished(path) {
                true => "it begins as a Parquet file and has no end: the recording was not \
                         finished (LeRobot's finalize() didn't run), or it was cut short"
                    .to_owned(),
                false => format!("not a readable Parquet file ({e}); it may be cut short"),
            })?;
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
        self.leaf(name, None).is_some()
    }

    /// Whether a column of this name has one part called `inside`.
    pub(super) fn has_inside(&self, name: &str, inside: &str) -> bool {
        self.leaf(name, Some(inside)).is_some()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of a column's only leaf, or of the one called `inside` in it.
    fn leaf(&self, name: &str, inside: Option<&str>) -> Option<usize> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let mut leaves = (0..schema.num_columns()).filter(|i| {
            let column = schema.column(*i);
            let path = column.path().parts();
            path.first().is_some_and(|first| first == name)
                && inside.is_none_or(|inside| path.last().is_some_and(|last| last == inside))
        });
        leaves.next().filter(|_| leaves.next().is_none())
    }

    /// Numbers of some rows (also truth values, as 0 and 1), `width` of them in each row.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] when the column is missing, is no such column, or has missing
    /// values or values that are not finite.
    pub fn numbers(&self, name: &str, width: usize, rows: Range<usize>) -> Result<Vec<f64>> {
        guarded(&self.path, || {
            let expected = rows.len();
            let found = self.found(name, rows)?;
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
                    "the column {name} has a missing value or one that is not finite, number {at}"
                ));
            }
            Ok(found.values)
        })
    }

    /// One number for each of some rows; `None` where it is missing, no number or not finite.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] when the column is missing or can't be read.
    pub fn known(&self, name: &str, rows: Range<usize>) -> Result<Vec<Option<f64>>> {
        guarded(&self.path, || {
            let expected = rows.len();
            let found = self.found(name, rows)?;
            let mut values = found.values.into_iter();
            let mut known: Vec<Option<f64>> = Vec::with_capacity(expected);
            for count in found.per_row {
                let mut row = values.by_ref().take(count);
                known.push(row.next().filter(|v| v.is_finite() && count == 1));
                row.for_each(drop);
            }
            known.resize(expected, None);
            Ok(known)
        })
    }

    /// All numbers of some rows; NaN where one is missing.
    fn found(&self, name: &str, rows: Range<usize>) -> Result<Values<f64>, String> {
        let short = |bytes: &[u8]| match bytes {
            [low, high] => f16::from_le_bytes([*low, *high]).to_f64(),
            _ => f64::NAN,
        };
        // Decimals are whole numbers of their last digit's unit.
        let unit = 10_f64.powi(self.digits(name).unwrap_or(0));
        self.read(name, None, rows, |reader, some| {
            let missing = || f64::NAN;
            Ok(match reader {
                ColumnReader::BoolColumnReader(r) => {
                    records(r, some)?.map(|v| if *v { 1.0 } else { 0.0 }, missing)
                }
                ColumnReader::Int32ColumnReader(r) => {
                    records(r, some)?.map(|v| f64::from(*v) / unit, missing)
                }
                ColumnReader::Int64ColumnReader(r) => {
                    records(r, some)?.map(|v| *v as f64 / unit, missing)
                }
                ColumnReader::FloatColumnReader(r) => {
                    records(r, some)?.map(|v| f64::from(*v), missing)
                }
                ColumnReader::DoubleColumnReader(r) => records(r, some)?.map(|v| *v, missing),
                ColumnReader::FixedLenByteArrayColumnReader(r) if self.is_short(name) => {
                    records(r, some)?.map(|v| short(v.data()), missing)
                }
                ColumnReader::FixedLenByteArrayColumnReader(r) if self.digits(name).is_some() => {
                    records(r, some)?.map(|v| whole(v.data()) / unit, missing)
                }
                ColumnReader::ByteArrayColumnReader(r) if self.digits(name).is_some() => {
                    records(r, some)?.map(|v| whole(v.data()) / unit, missing)
                }
                _ => return Err(format!("the column {name} has no numbers")),
            })
        })
    }

    /// Whether a column holds 16-bit numbers.
    fn is_short(&self, name: &str) -> bool {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        self.leaf(name, None)
            .is_some_and(|at| schema.column(at).logical_type_ref() == Some(&LogicalType::Float16))
    }

    /// Digits behind the point, where a column holds decimals.
    fn digits(&self, name: &str) -> Option<i32> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let column = schema.column(self.leaf(name, None)?);
        (column.converted_type() == ConvertedType::DECIMAL).then(|| column.type_scale())
    }

    /// Texts of some rows, one list a row; without those that are missing.
    ///
    /// # Errors
    /// As [`Columns::numbers`].
    pub fn texts(&self, name: &str, rows: Range<usize>) -> Result<Vec<Vec<String>>> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let rows = self.bytes(name, None, rows)?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|row| row.into_iter().map(text).collect())
            .collect())
    }

    /// What some rows hold as bytes, or of what they hold the part called `inside`; one list a
    /// row, without those that are missing.
    ///
    /// # Errors
    /// As [`Columns::numbers`].
    pub fn bytes(
        &self,
        name: &str,
        inside: Option<&str>,
        rows: Range<usize>,
    ) -> Result<Vec<Vec<Vec<u8>>>> {
        guarded(&self.path, || {
            let expected = rows.len();
            let found = self.read(name, inside, rows, |reader, some| match reader {
                ColumnReader::ByteArrayColumnReader(r) => {
                    let found = records(r, some)?;
                    Ok(found.map(|v| Some(v.data().to_vec()), || None))
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
            let row = |n: &usize| values.by_ref().take(*n).flatten().collect();
            Ok(found.per_row.iter().map(row).collect())
        })
    }

    /// Reads a range of rows, row group by row group.
    fn read<T>(
        &self,
        name: &str,
        inside: Option<&str>,
        rows: Range<usize>,
        read: impl Fn(ColumnReader, &Wanted) -> Result<Values<T>, String>,
    ) -> Result<Values<T>, String> {
        let leaf = self
            .leaf(name, inside)
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
                let some = Wanted {
                    skip: from - begin,
                    take: to - from,
                    whole: group.metadata().column(leaf).column_descr().max_def_level(),
                };
                let part = read(reader, &some)?;
                all.values.extend(part.values);
                all.per_row.extend(part.per_row);
            }
            begin = end;
        }
        Ok(all)
    }
}

/// A whole number of any width, the highest byte and its sign first.
fn whole(bytes: &[u8]) -> f64 {
    let highest = bytes.first().map_or(0.0, |b| f64::from(*b as i8));
    let others = bytes.iter().skip(1);
    others.fold(highest, |n, b| n * 256.0 + f64::from(*b))
}

/// Values of a column, `None` where one is missing.
type Found<T> = Values<Option<T>>;

impl<T> Found<T> {
    fn map<U>(self, convert: impl Fn(&T) -> U, missing: impl Fn() -> U) -> Values<U> {
        let values = self.values.iter();
        Values {
            values: values
                .map(|value| value.as_ref().map_or_else(&missing, &convert))
                .collect(),
            per_row: self.per_row,
        }
    }
}

/// Which rows of a row group.
struct Wanted {
    skip: usize,
    take: usize,
    /// The definition level of values that are there.
    whole: i16,
}

/// Reads `take` rows after `skip` others.
fn records<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    Wanted { skip, take, whole }: &Wanted,
) -> Result<Found<T::T>, String> {
    let (skip, take) = (*skip, *take);
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
        if repetitions.is_empty() {
            all.per_row.extend(std::iter::repeat_n(1, rows));
        }
        for level in repetitions {
            match (level, all.per_row.last_mut()) {
                (0, _) => all.per_row.push(1),
                // Also in a list of lists: a row of [1, 7] is one of 7.
                (_, Some(count)) => *count += 1,
                (_, None) => return Err("its first row has no beginning".to_owned()),
            }
        }
        let mut values = values.into_iter();
        if definitions.is_empty() {
            all.values.extend(values.map(Some));
        } else if definitions.len() == levels && found <= levels {
            let defined = definitions.into_iter().map(|level| level == *whole);
            all.values
                .extend(defined.map(|is| is.then(|| values.next()).flatten()));
        } else {
            return Err("it has missing values where numbers or texts belong".to_owned());
        }
    }
    Ok(all)
}

/// What the Parquet library says; of a compression that isn't read, what to do.
fn text(error: parquet::errors::ParquetError) -> String {
    let words = error.to_string();
    match words.split_once("Disabled feature at compile time: ") {
        Some((_, codec)) => format!(
            "its columns are compressed with {codec}, which isn't read here; write it anew with \
             zstd, snappy or gzip, e.g. in Python: \
             pyarrow.parquet.write_table(pyarrow.parquet.read_table(OLD), NEW)"
        ),
        None => format!("it can't be read ({words}); it may be damaged"),
    }
}

/// Whether a file begins as Parquet does and doesn't end so: the end is written last.
fn unfinished(path: &Path) -> bool {
    const MAGIC: &[u8] = b"PAR1";
    std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(MAGIC) && !bytes.ends_with(MAGIC))
}

/// Runs a reader; what it says is about `path`. The Parquet library can panic on damaged pages,
/// which is no reason for a training run to die.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, String>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|reason| DatasetError::corrupt(path, reason)),
        Err(_) => Err(DatasetError::corrupt(path, "it is damaged")),
    }
}
