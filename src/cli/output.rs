//! What commands print: tables for people, JSON for programs.

use std::io::{ErrorKind, Write as _};

use clap::ValueEnum;
use serde_json::Value;

use super::exit::Exit;

/// How to write an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people; its form may change
    #[default]
    Table,
    /// For programs: the API's own objects
    Json,
}

/// Prints one JSON document.
pub fn print_json(value: &Value) {
    print(&format!("{value:#}\n"));
}

/// Prints one JSON document on a line of its own.
pub fn print_json_line(value: &Value) {
    print(&format!("{value}\n"));
}

/// Prints text, or ends the program: a reader that has gone (`| head`) has seen what it wanted, any other output that is
/// lost is a failure.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let Err(lost) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) else { return };
    if lost.kind() == ErrorKind::BrokenPipe {
        std::process::exit(Exit::Done as i32);
    }
    eprintln!("error: the output cannot be written: {lost}");
    std::process::exit(Exit::Failed as i32);
}

/// Rows under headings, each column as wide as its widest cell.
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as there are headings. Control characters in it are shown, not obeyed.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| on_one_line(&cell)).collect());
    }

    /// The whole table; the last column is not padded.
    pub fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.headings.len())
            .map(|at| {
                let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
                cells.chain([self.headings[at].len()]).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        let headings = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Text from a server as it may stand in a terminal.
pub fn on_one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["ID", "STATE"]);
        table.row(["a".to_owned(), "queued".to_owned()]);
        table.row(["längere".to_owned(), "held".to_owned()]);

        assert_eq!(table.text(), "ID       STATE\na        queued\nlängere  held\n");
    }

    #[test]
    fn a_servers_text_cannot_steer_the_terminal() {
        let mut table = Table::new(&["MESSAGE"]);
        table.row(["red\u{1b}[31m\nrm".to_owned()]);

        assert_eq!(table.text(), "MESSAGE\nred [31m rm\n");
    }
}
