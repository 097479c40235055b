//! CSV as programs really write it, cut into rows of cells.
//!
//! Excel's byte-order mark and `sep=` line, semicolons with decimal commas, quotes, tabs, NumPy's
//! blanks, column names behind a `#`, a `%` or a `//`.

use std::io::Cursor;

use csv::{ReaderBuilder, StringRecord, Trim};

/// A row's line in its file, from 1, and its cells.
pub(crate) type Row = (usize, StringRecord);
/// The line, and what is wrong there.
pub(crate) type Fault = (usize, String);

/// What a comment begins with.
const COMMENTS: [&str; 3] = ["#", "%", "//"];

/// A table's rows.
pub(crate) struct CsvRows {
    /// The comments before the first row, each cut as its own line is: column names, perhaps.
    pub comments: Vec<Row>,
    /// The rows that are neither empty nor comments.
    pub rows: Vec<Row>,
}

impl CsvRows {
    /// Cuts a text.
    ///
    /// # Errors
    /// Where the text is no CSV.
    pub(crate) fn cut(text: &str) -> Result<Self, Fault> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().map(str::trim).enumerate();
        let mut lines: Vec<(usize, &str)> = lines
            .map(|(i, line)| (i + 1, line))
            .filter(|(_, line)| !line.is_empty())
            .collect();
        let said = lines
            .first()
            .and_then(|(_, line)| line.strip_prefix("sep="));
        let said = said.and_then(|said| said.bytes().next());
        if said.is_some() {
            lines.remove(0);
        }
        let is_comment = |line: &str| COMMENTS.iter().any(|mark| line.starts_with(mark));
        let start = lines.iter().position(|(_, line)| !is_comment(line));
        let start = start.unwrap_or(lines.len());
        let mut comments = Vec::new();
        for (i, line) in &lines[..start] {
            let line = line.trim_start_matches(['#', '%', '/']).trim_start();
            // What is no table is no column's name either.
            let cut = cells(&[(*i, line)], said.or_else(|| delimiter(line)));
            comments.extend(cut.unwrap_or_default());
        }
        lines.retain(|(_, line)| !is_comment(line));
        let first = lines.first().map_or("", |(_, line)| *line);
        Ok(CsvRows {
            comments,
            rows: cells(&lines, said.or_else(|| delimiter(first)))?,
        })
    }
}

/// What stands between the cells of a line; `None` where only blanks do.
fn delimiter(line: &str) -> Option<u8> {
    let mut quoted = false;
    let bare: Vec<u8> = line
        .bytes()
        .filter(|b| {
            quoted ^= *b == b'"';
            !quoted
        })
        .collect();
    [b';', b'\t', b','].into_iter().find(|d| bare.contains(d))
}

fn cells(lines: &[(usize, &str)], delimiter: Option<u8>) -> Result<Vec<Row>, Fault> {
    let numbers: Vec<usize> = lines.iter().map(|(i, _)| *i).collect();
    let at = |i: usize| numbers.get(i).copied().unwrap_or(1);
    let lines = lines.iter().map(|(_, line)| match delimiter {
        Some(_) => (*line).to_owned(),
        None => line.split_whitespace().collect::<Vec<_>>().join(" "),
    });
    let text: Vec<String> = lines.collect();
    let reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(delimiter.unwrap_or(b' '))
        .from_reader(Cursor::new(text.join("\n")));
    let rows = reader.into_records().enumerate();
    rows.map(|(i, row)| match row {
        Ok(row) => Ok((at(i), row)),
        Err(error) => Err((at(i), error.to_string())),
    })
    .collect()
}

/// A number, with a decimal comma too: a cell has no comma that separates.
pub(crate) fn number(text: &str) -> Option<f64> {
    let decimal_comma = || {
        let one = text.matches(',').count() == 1 && !text.contains('.');
        one.then(|| text.replace(',', ".").parse().ok()).flatten()
    };
    text.parse().ok().or_else(decimal_comma)
}
