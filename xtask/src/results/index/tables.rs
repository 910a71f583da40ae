//! The tables of a run's report.

use super::figure::Figure;

/// Columns that hold no figures.
const NO_FIGURES: [&str; 4] = ["", "max", "note", "at"];
/// The servers that Ensign is held against.
const OTHERS: [&str; 4] = ["dovecot", "cyrus", "nats", "redis"];

/// A measure's row in one of the tables.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::results) struct Row {
    /// What the table is of, where it is of one thing of several.
    pub(in crate::results) of: Option<String>,
    pub(in crate::results) cells: Vec<Cell>,
    pub(in crate::results) note: Option<String>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::results) struct Cell {
    pub(in crate::results) column: String,
    pub(in crate::results) text: String,
    /// How many times as good Ensign's is, if the report says so.
    pub(in crate::results) times: Option<String>,
}

impl Cell {
    fn new(column: &str, text: &str) -> Self {
        let within = text.strip_suffix(" ×)").and_then(|it| it.rsplit_once(" ("));
        let (text, times) = match within {
            Some((text, times)) => (text, Some(times.to_owned())),
            None => (text, None),
        };
        Self {
            column: column.into(),
            text: text.into(),
            times,
        }
    }

    /// Whether the figure is another server's.
    pub(super) fn is_others(&self) -> bool {
        let column = self.column.to_lowercase();
        OTHERS.iter().any(|other| column.starts_with(other))
    }

    pub(super) fn figure(&self) -> Option<Figure> {
        Figure::parse(&self.text)
    }

    /// As people read it.
    pub(super) fn shown(&self) -> String {
        self.figure()
            .map_or_else(|| self.text.clone(), |figure| figure.shown())
    }
}

/// The rows of that name in all tables of a report.
pub(in crate::results) fn rows(report: &str, measure: &str) -> Vec<Row> {
    let mut found = Vec::new();
    let mut header: Vec<&str> = Vec::new();
    for line in report.lines() {
        let Some(row) = cells(line) else {
            header.clear();
            continue;
        };
        if header.is_empty() {
            header = row;
        } else if row[0] == measure {
            found.push(read(&header, &row));
        }
    }
    found
}

/// A cell's value and unit; times are in microseconds.
pub(in crate::results) fn figure(text: &str) -> Option<(f64, String)> {
    let figure = Figure::parse(text)?;
    Some((figure.value, figure.unit))
}

/// The names of the rows of the report's first table whose first column has that title.
pub(in crate::results) fn names(report: &str, title: &str) -> Vec<String> {
    let lines = report
        .lines()
        .skip_while(|line| cells(line).is_none_or(|it| it[0] != title));
    let rows = lines.map_while(cells).skip(2);
    rows.map(|row| row[0].to_owned()).collect()
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn read(header: &[&str], row: &[&str]) -> Row {
    let columns = header.iter().zip(row).skip(1);
    let figures = columns
        .clone()
        .filter(|(column, _)| !NO_FIGURES.contains(column) && !column.starts_with("against"));
    // Of percentiles there may be one column alone.
    let figures = figures.filter(|(column, text)| **column != "p99" || !text.is_empty());
    let note = columns.clone().find(|(column, _)| **column == "note");
    let of = header[0].split(' ').next().and_then(|it| it.chars().next());
    Row {
        of: of
            .filter(char::is_ascii_digit)
            .map(|_| header[0].to_owned()),
        cells: figures
            .map(|(column, text)| Cell::new(column, text))
            .collect(),
        note: note.map(|(_, text)| (*text).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(row: &Row) -> Vec<(&str, &str)> {
        let cells = row.cells.iter();
        cells.map(|cell| (&*cell.column, &*cell.text)).collect()
    }

    #[test]
    fn figures_of_one_server_are_percentiles() {
        let report = "# R\n\n| | |\n|---|---|\n| machine | m |\n\n\
                      | measure | p50 | p99 | max | note |\n|---|---|---|---|---|\n\
                      | pace   | 4 µs | 9 µs | 11 µs | quick |\n| set-up | 7 /s | | | |\n";
        let pace = rows(report, "pace");
        assert_eq!(texts(&pace[0]), [("p50", "4 µs"), ("p99", "9 µs")]);
        assert_eq!(pace[0].note.as_deref(), Some("quick"));
        assert_eq!(texts(&rows(report, "set-up")[0]), [("p50", "7 /s")]);
        assert!(rows(report, "place").is_empty());
        assert_eq!(names(report, "measure"), ["pace", "set-up"]);
    }

    #[test]
    fn another_servers_figure_is_never_a_percentile_of_ensign() {
        let report = "| measure | enpd | nats | against the better |\n|---|---|---|---|\n\
                      | pace | 7 µs | 11 µs | 0.6 × |\n";
        let row = &rows(report, "pace")[0];
        assert_eq!(texts(row), [("enpd", "7 µs"), ("nats", "11 µs")]);
        assert_eq!([0, 1].map(|at| row.cells[at].is_others()), [false, true]);
    }

    #[test]
    fn times_are_read_and_tables_of_one_thing_each_are_told_apart() {
        let report = "| 20,000 messages | Ensign | Cyrus |\n|---|---|---|\n\
                      | SORT | 2.00 ms | 5.00 ms (2.5 ×) |\n\n\
                      | 200,000 messages | Ensign | Cyrus |\n|---|---|---|\n| SORT | 9 ms | – |\n";
        let rows = rows(report, "SORT");
        assert_eq!(rows[0].cells[1].times.as_deref(), Some("2.5"));
        assert_eq!(rows[0].cells[1].text, "5.00 ms");
        assert_eq!(rows[1].of.as_deref(), Some("200,000 messages"));
        assert_eq!(rows[1].cells[1].shown(), "–");
    }
}
