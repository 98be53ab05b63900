//! What commands write to standard output: rows as they come, tables, reports.

use std::{
    fmt::{Display, Write as _},
    io::{self, Write},
};

use clap::Args;
use serde::Serialize;

use super::{
    source::Reading,
    terminal::{is_coloured, stdout_columns},
    text::{cut, width, wrap},
};
use crate::api::{OfNode, Row};

/// Spaces between two columns.
const GAP: usize = 2;
/// Cells and columns are not cut to less. Six of them fit the narrowest terminal, and no table has more main columns.
const CUT_MIN: usize = 5;

/// What begins and ends the colour of a route (blue, green; of anything else it is dim), if there is colour at all.
pub(super) fn paint(route: &str, colour: bool) -> (&'static str, &'static str) {
    let begin = match route {
        _ if !colour => return ("", ""),
        "imessage" => "\x1b[34m",
        "sms" => "\x1b[32m",
        _ => "\x1b[2m",
    };
    (begin, "\x1b[0m")
}

/// The arguments of a command that prints a table of what it reads.
#[derive(Args)]
pub(super) struct Tabular<R: Args> {
    #[command(flatten)]
    pub(super) reading: Reading<R>,
    /// Print every column, however wide the terminal is. Without it, a terminal shows the main columns and cuts what is
    /// too long for a line; pipes and files get whole values
    #[arg(long, conflicts_with = "json")]
    pub(super) wide: bool,
}

impl<R: Args> Tabular<R> {
    pub(super) fn form(&self) -> Form {
        Form { json: self.reading.json, wide: self.wide }
    }
}

/// How rows are printed.
#[derive(Clone, Copy, Default)]
pub(super) struct Form {
    /// As JSON, one object a line; else as a table for people.
    pub(super) json: bool,
    /// The table has every column.
    pub(super) wide: bool,
}

/// A column's name and least width. Rows that are printed as they come have these widths. A terminal with space for them cuts
/// a longer cell; elsewhere it moves the cells behind it.
pub(super) type Column = (&'static str, usize);

/// A row with its columns for people.
pub(super) trait TableRow: Serialize {
    /// The main columns: they fit 80 columns of a terminal.
    const COLUMNS: &'static [Column];
    /// Every column.
    const WIDE: &'static [Column] = Self::COLUMNS;

    /// The cells of all columns, or of the main ones.
    fn cells(&self, wide: bool) -> Vec<String>;

    /// The node of a cluster that the row is of. Then the table has the column [`NODE`].
    fn node(&self) -> Option<&str> {
        None
    }
}

/// The last column of rows of several nodes.
const NODE: Column = ("NODE", 4);

fn columns_of<R: TableRow>(wide: bool, has_node: bool) -> Vec<Column> {
    let columns = if wide { R::WIDE } else { R::COLUMNS };
    columns.iter().copied().chain(has_node.then_some(NODE)).collect()
}

fn cells_of<R: TableRow>(row: &R, wide: bool) -> Vec<String> {
    let mut cells = row.cells(wide);
    cells.extend(row.node().map(str::to_owned));
    cells
}

impl<R: TableRow> TableRow for OfNode<R> {
    const COLUMNS: &'static [Column] = R::COLUMNS;
    const WIDE: &'static [Column] = R::WIDE;

    fn cells(&self, wide: bool) -> Vec<String> {
        self.row.cells(wide)
    }

    fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }
}

fn names(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// Prints rows as they come.
pub(super) struct RowPrinter<W> {
    out: W,
    form: Form,
    style: Style,
    line: Vec<u8>,
    pub(super) printed: u64,
}

/// How a table looks.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// No line is wider; none if lines may be of any width.
    pub(super) columns: Option<usize>,
    pub(super) colour: bool,
}

impl Style {
    /// Of standard output. Whoever asks for every column takes lines of any width.
    pub(super) fn stdout(wide: bool) -> Self {
        Self { columns: stdout_columns().filter(|_| !wide), colour: is_coloured(&io::stdout()) }
    }
}

impl RowPrinter<io::StdoutLock<'static>> {
    pub(super) fn stdout(form: Form) -> Self {
        Self::new(io::stdout().lock(), form, Style::stdout(form.wide))
    }
}

impl<W: Write> RowPrinter<W> {
    pub(super) fn new(out: W, form: Form, style: Style) -> Self {
        Self { out, form, style, line: Vec::new(), printed: 0 }
    }

    pub(super) fn print<R: TableRow + Row>(&mut self, row: &R) -> io::Result<()> {
        self.printed += 1;
        if self.form.json {
            self.line.clear();
            row.write(&mut self.line);
            self.line.push(b'\n');
            return self.out.write_all(&self.line);
        }
        let mut cells = cells_of(row, self.form.wide);
        let mut columns = columns_of::<R>(self.form.wide, row.node().is_some());
        if self.style.columns.is_some_and(|most| fill(&mut columns, most)) {
            cells.iter_mut().zip(&columns).for_each(|(cell, (_, width))| *cell = cut(cell, *width));
        }
        if self.printed == 1 {
            let head = Style { colour: false, ..self.style };
            writeln!(self.out, "{}", align(&columns, &names(&columns), head))?;
        }
        writeln!(self.out, "{}", align(&columns, &cells, self.style))
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Gives columns the space that a terminal has left beside them: the last one, and a handle half of it. False if it has not
/// space for all of them.
fn fill(columns: &mut [Column], most: usize) -> bool {
    let gaps = GAP * columns.len().saturating_sub(1);
    let least: usize = columns.iter().map(|(_, width)| width).sum();
    let Some(mut left) = most.checked_sub(least + gaps) else { return false };
    if let Some((_, handle)) = columns.iter_mut().find(|(name, _)| *name == "HANDLE") {
        *handle += left / 2;
        left -= left / 2;
    }
    if let Some((_, last)) = columns.iter_mut().rfind(|column| **column != NODE) {
        *last += left;
    }
    true
}

/// One line of a table. Colours the route. If the line is too wide, its cells move together first, from the right. Then its
/// longest cells are cut.
fn align(columns: &[Column], cells: &[String], style: Style) -> String {
    let mut shown: Vec<_> = cells.iter().map(|cell| width(cell)).collect();
    let last = shown.len().saturating_sub(1);
    let mut taken: Vec<_> =
        columns.iter().zip(&shown).map(|((_, least), it)| *it.max(least)).collect();
    if let Some(taken) = taken.get_mut(last) {
        *taken = shown[last];
    }
    if let Some(most) = style.columns {
        let mut over = (taken.iter().sum::<usize>() + GAP * last).saturating_sub(most);
        for (taken, shown) in taken.iter_mut().zip(&shown).rev() {
            let moved = over.min(*taken - shown);
            (*taken, over) = (*taken - moved, over - moved);
        }
        shrink(&mut shown, &[], over);
        taken.iter_mut().zip(&shown).for_each(|(taken, shown)| {
            if over > 0 {
                *taken = *shown;
            }
        });
    }
    let mut line = String::new();
    for (at, ((name, _), cell)) in columns.iter().zip(cells).enumerate() {
        let (before, after) = paint(cell, style.colour && ["ROUTE", "EVENT"].contains(name));
        // A letter of two columns may have left one free.
        let text = cut(cell, shown[at]);
        let space = if at < last { taken[at] + GAP - width(&text) } else { 0 };
        let _ = write!(line, "{before}{text}{after}{:space$}", "");
    }
    line
}

/// Takes `over` columns away, each from the widest that is left, none below its least.
fn shrink(widths: &mut [usize], least: &[usize], over: usize) {
    for _ in 0..over {
        let least = |at: usize| least.get(at).copied().unwrap_or(0).max(CUT_MIN);
        let wide = widths.iter_mut().enumerate().filter(|(at, width)| **width > least(*at));
        let Some((_, widest)) = wide.max_by_key(|(_, width)| **width) else { return };
        *widest -= 1;
    }
}

/// A cell: `-` for what is not there.
pub(super) fn cell(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Rows in columns as wide as their widest cell, two spaces apart, under a header. Columns that are too wide together are cut,
/// the widest first, and headers only if nothing else is left to cut.
pub(super) fn table<R: TableRow>(rows: &[R], wide: bool, most: Option<usize>) -> String {
    let columns = columns_of::<R>(wide, rows.iter().any(|row| row.node().is_some()));
    let rows = rows.iter().map(|row| cells_of(row, wide));
    let mut lines: Vec<_> = std::iter::once(names(&columns)).chain(rows).collect();
    let widest = |at: usize| lines.iter().map(|cells| width(&cells[at])).max().unwrap_or(0);
    let mut widths: Vec<_> = (0..columns.len()).map(widest).collect();
    if let Some(most) = most {
        let gaps = GAP * columns.len().saturating_sub(1);
        let least: Vec<_> = columns.iter().map(|(name, _)| name.len()).collect();
        // The headers come last.
        for least in [&*least, &[]] {
            let over = (widths.iter().sum::<usize>() + gaps).saturating_sub(most);
            shrink(&mut widths, least, over);
        }
    }
    for cells in &mut lines {
        cells.iter_mut().zip(&widths).for_each(|(cell, width)| *cell = cut(cell, *width));
    }
    let columns: Vec<_> =
        columns.iter().zip(&widths).map(|((name, _), width)| (*name, *width)).collect();
    let style = Style { columns: most, colour: false };
    lines.iter().map(|cells| align(&columns, cells, style) + "\n").collect()
}

/// Prints a report of many rows: as JSON, one object a line, or as a table.
pub(super) fn print_rows<R: TableRow>(form: Form, rows: &[R]) -> anyhow::Result<()> {
    if form.json {
        return rows.iter().try_for_each(print_json);
    }
    let most = Style::stdout(form.wide).columns;
    let mut out = io::stdout().lock();
    write!(out, "{}", table(rows, form.wide, most))?;
    Ok(out.flush()?)
}

/// Prints a report as one JSON object.
pub(super) fn print_json(report: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(report)?)?;
    Ok(out.flush()?)
}

/// Prints a report for people. On a terminal long lines wrap at words, with `hanging` more spaces before what follows.
pub(super) fn print_text(report: &str, hanging: usize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{}", wrap(report, stdout_columns(), hanging))?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair(&'static str, &'static str, &'static str);

    impl TableRow for Pair {
        const COLUMNS: &'static [Column] = &[("HANDLE", 10), ("EVENT", 10), ("REASON", 0)];

        fn cells(&self, _: bool) -> Vec<String> {
            [self.0, self.1, self.2].map(str::to_owned).into()
        }
    }

    fn line(row: &Pair, columns: Option<usize>) -> String {
        align(Pair::COLUMNS, &row.cells(false), Style { columns, colour: false })
    }

    #[test]
    fn a_line_that_is_too_wide_moves_together_and_is_then_cut() {
        let row = Pair("ann@example.com", "sms", "never-registered");
        assert_eq!(line(&row, None), "ann@example.com  sms         never-registered");
        assert_eq!(line(&row, Some(45)), line(&row, None));
        assert_eq!(line(&row, Some(40)), "ann@example.com  sms    never-registered");
        assert_eq!(line(&row, Some(38)), "ann@example.com  sms  never-registered");
        assert_eq!(line(&row, Some(36)), "ann@example.com  sms  never-registe…");
        assert_eq!(line(&row, Some(33)), "ann@example.…  sms  never-regist…");
        let wide = Pair("用户用户用户用户@例子", "sms", "x");
        assert_eq!(width(&line(&wide, Some(20))), 20);
    }

    #[test]
    fn the_widest_column_of_a_table_is_cut_first() {
        let rows = [Pair("ann@example.com", "sms", "never-registered"), Pair("b", "none", "x")];
        let lines = |most| table(&rows, false, most).lines().map(str::to_owned).collect::<Vec<_>>();
        let whole = [
            "HANDLE           EVENT  REASON",
            "ann@example.com  sms    never-registered",
            "b                none   x",
        ];
        assert_eq!(lines(None), whole);
        assert_eq!(lines(Some(40)), whole);
        assert_eq!(
            lines(Some(36)),
            [
                "HANDLE          EVENT  REASON",
                "ann@example.c…  sms    never-regist…",
                "b               none   x",
            ]
        );
        // No header is cut as long as there is space for it.
        assert_eq!(lines(Some(21))[0], "HANDLE  EVENT  REASON");
    }
}
