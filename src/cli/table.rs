//! Tables for people.

use serde::Serialize;

/// A cell: a text or a code as it is, a number in digits, `-` for what is not there.
pub(super) fn cell(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Null) | Err(_) => "-".to_owned(),
        Ok(value) => value.to_string(),
    }
}

/// Rows in columns as wide as their widest cell, two spaces apart, under a header of words.
pub(super) fn table(header: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let header = header.split(' ').map(str::to_uppercase).collect();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..rows[0].len()).map(width).collect();
    let mut table = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        table.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        table.push('\n');
    }
    table
}
