//! Parquet files written a row group at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use crate::error::{DatasetError, Result};

/// Values of one column.
#[derive(Debug, Clone)]
pub(crate) enum TableValues {
    /// 32-bit numbers.
    Float(Vec<f32>),
    /// 64-bit numbers.
    Double(Vec<f64>),
    /// Whole numbers.
    Int(Vec<i64>),
    /// Truth values, some of them not known.
    Bool(Vec<Option<bool>>),
    /// Texts.
    Text(Vec<String>),
}

/// A column's name, the values of each row in turn, and how many a row has.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub name: String,
    /// `None` for a plain value a row, else lists of this many.
    pub width: Option<usize>,
    pub values: TableValues,
}

impl Column {
    pub(super) fn plain(name: &str, values: TableValues) -> Self {
        Column {
            name: name.to_owned(),
            width: None,
            values,
        }
    }

    /// Lists of `width` values; of one value, plain ones, as LeRobot has them.
    pub(super) fn lists(name: &str, width: usize, values: TableValues) -> Self {
        Column {
            name: name.to_owned(),
            width: (width != 1).then_some(width),
            values,
        }
    }

    fn schema(&self) -> Result<Type, ParquetError> {
        let leaf = |name: &str| {
            let physical = match self.values {
                TableValues::Float(_) => Physical::FLOAT,
                TableValues::Double(_) => Physical::DOUBLE,
                TableValues::Int(_) => Physical::INT64,
                TableValues::Bool(_) => Physical::BOOLEAN,
                TableValues::Text(_) => Physical::BYTE_ARRAY,
            };
            let repetition = match self.values {
                TableValues::Bool(_) => Repetition::OPTIONAL,
                _ => Repetition::REQUIRED,
            };
            let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
            match self.values {
                TableValues::Text(_) => builder
                    .with_logical_type(Some(LogicalType::String))
                    .with_converted_type(ConvertedType::UTF8)
                    .build(),
                _ => builder.build(),
            }
        };
        if self.width.is_none() {
            return leaf(&self.name);
        }
        let list = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![Arc::new(leaf("element")?)])
            .build()?;
        Type::group_type_builder(&self.name)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(Some(LogicalType::List))
            .with_converted_type(ConvertedType::LIST)
            .with_fields(vec![Arc::new(list)])
            .build()
    }

    fn len(&self) -> usize {
        match &self.values {
            TableValues::Float(v) => v.len(),
            TableValues::Double(v) => v.len(),
            TableValues::Int(v) => v.len(),
            TableValues::Bool(v) => v.len(),
            TableValues::Text(v) => v.len(),
        }
    }
}

/// A Parquet file being written.
pub(crate) struct TableWriter {
    writer: SerializedFileWriter<File>,
    path: PathBuf,
}

impl TableWriter {
    /// Starts a file with the columns of `like`; its values are not written. `notes` are kept
    /// beside the schema.
    pub(super) fn create(
        path: &Path,
        like: &[Column],
        notes: Vec<(String, String)>,
    ) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| DatasetError::io("create", folder, e))?;
        }
        let file = File::create(path).map_err(|e| DatasetError::io("create", path, e))?;
        let notes: Vec<KeyValue> = notes
            .into_iter()
            .map(|(key, value)| KeyValue::new(key, value))
            .collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata((!notes.is_empty()).then_some(notes))
            .build();
        let start = || -> Result<SerializedFileWriter<File>, ParquetError> {
            let fields: Result<Vec<_>, _> = like.iter().map(|c| c.schema().map(Arc::new)).collect();
            let schema = Type::group_type_builder("schema")
                .with_fields(fields?)
                .build()?;
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
        };
        Ok(TableWriter {
            writer: start().map_err(|e| failed(path, &e))?,
            path: path.to_path_buf(),
        })
    }

    /// Appends rows as a row group of their own.
    pub(super) fn rows(&mut self, columns: &[Column]) -> Result<()> {
        let path = self.path.clone();
        self.group(columns).map_err(|e| failed(&path, &e))
    }

    fn group(&mut self, columns: &[Column]) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for column in columns {
            let Some(mut writer) = group.next_column()? else {
                return Err(ParquetError::General("a column too many".to_owned()));
            };
            // In a list every value but a row's first continues it.
            let levels = column.width.map(|width| {
                let repetitions: Vec<i16> = (0..column.len())
                    .map(|i| i16::from(i % width.max(1) != 0))
                    .collect();
                (vec![1_i16; column.len()], repetitions)
            });
            let (definitions, repetitions) = match &levels {
                Some((d, r)) => (Some(&d[..]), Some(&r[..])),
                None => (None, None),
            };
            match &column.values {
                TableValues::Float(v) => {
                    let typed = writer.typed::<FloatType>();
                    typed.write_batch(v, definitions, repetitions)?;
                }
                TableValues::Double(v) => {
                    let typed = writer.typed::<DoubleType>();
                    typed.write_batch(v, definitions, repetitions)?;
                }
                TableValues::Int(v) => {
                    let typed = writer.typed::<Int64Type>();
                    typed.write_batch(v, definitions, repetitions)?;
                }
                TableValues::Bool(v) => {
                    let known: Vec<bool> = v.iter().flatten().copied().collect();
                    let there: Vec<i16> = v.iter().map(|v| i16::from(v.is_some())).collect();
                    let typed = writer.typed::<BoolType>();
                    typed.write_batch(&known, Some(&there), None)?;
                }
                TableValues::Text(v) => {
                    let texts: Vec<ByteArray> =
                        v.iter().map(|t| ByteArray::from(t.as_str())).collect();
                    let typed = writer.typed::<ByteArrayType>();
                    typed.write_batch(&texts, definitions, repetitions)?;
                }
            }
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> usize {
        self.writer.bytes_written()
    }

    /// Completes the file.
    pub(super) fn finish(self) -> Result<()> {
        let path = self.path;
        self.writer
            .close()
            .map(|_| ())
            .map_err(|e| failed(&path, &e))
    }
}

fn failed(path: &Path, error: &ParquetError) -> DatasetError {
    DatasetError::corrupt(path, format!("it can't be written: {error}"))
}
