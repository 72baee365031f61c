//! Tables: tbl's, or a list.

use super::roff::{escape, guarded, whole_paths};

/// What tbl may take of a line of 80: the page's own indent is 7, and 2 stay free.
const WIDTH: usize = 70;
/// What tbl puts between two columns.
const BETWEEN: usize = 3;
/// A word may be broken behind its punctuation when it is longer.
const LONG: usize = 16;

/// Inline text, and how many columns it takes.
#[derive(Clone, Default)]
pub(super) struct Cell {
    pub(super) roff: String,
    plain: String,
}

impl Cell {
    pub(super) fn text(&mut self, text: &str) {
        self.roff.push_str(&whole_paths(&escape(text)));
        self.plain.push_str(text);
    }

    pub(super) fn font(&mut self, font: &str, text: &str) {
        self.open(font);
        self.roff.push_str(&escape(text));
        self.plain.push_str(text);
        self.close();
    }

    /// Begins another font. What is in one is a name, and not hyphenated; in
    /// the middle of a word the sign for that would allow what it forbids.
    pub(super) fn open(&mut self, font: &str) {
        let begins = self.roff.is_empty() || self.roff.ends_with(' ');
        self.roff.push_str("\\f");
        self.roff.push_str(font);
        self.roff.push_str(if begins { "\\%" } else { "" });
    }

    pub(super) fn close(&mut self) {
        self.roff.push_str("\\fR");
    }

    fn width(&self) -> usize {
        self.plain.chars().count()
    }

    /// The longest part that cannot be broken.
    fn least(&self) -> usize {
        let parts = self.plain.split_whitespace().flat_map(|word| match word.chars().count() > LONG {
            true => word.split_inclusive(['/', '.', '_', ',', '|']).collect(),
            false => vec![word],
        });
        parts.map(|part| part.chars().count()).max().unwrap_or(1)
    }

    /// With places at which a long word may be broken.
    fn breakable(&self) -> String {
        let broken = self.roff.split(' ').map(|word| match word.chars().count() > LONG {
            true => word.replace('/', "/\\:").replace('_', "_\\:").replace(',', ",\\:").replace('|', "|\\:"),
            false => word.to_owned(),
        });
        broken.collect::<Vec<_>>().join(" ")
    }
}

/// A table, row by row; the first is its head.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
    row: Vec<Cell>,
}

impl Table {
    pub(super) fn cell(&mut self, cell: Cell) {
        self.row.push(cell);
    }

    pub(super) fn end_row(&mut self) {
        self.rows.push(std::mem::take(&mut self.row));
    }

    pub(super) fn to_roff(&self) -> String {
        match self.rows.split_first() {
            Some((head, rows)) if head.first().is_some_and(|cell| cell.plain == "key") => list(head, rows),
            Some((head, rows)) => self.tbl(head, rows),
            None => String::new(),
        }
    }

    fn tbl(&self, head: &[Cell], rows: &[Vec<Cell>]) -> String {
        let widths: Vec<String> =
            self.widths(head.len()).iter().map(|width| format!("lw({width}n)")).collect();
        let bold = vec!["lB"; head.len()].join(" ");
        let mut out = format!(".TS\n{bold}\n{}.\n", widths.join(" "));
        let titles: Vec<&str> = head.iter().map(|cell| cell.roff.as_str()).collect();
        out.push_str(&titles.join("\t"));
        out.push('\n');
        for row in rows {
            let cells = row.iter().map(|cell| format!("T{{\n{}\nT}}", guarded(&cell.breakable())));
            out.push_str(&cells.collect::<Vec<_>>().join("\t"));
            out.push('\n');
        }
        out + ".TE"
    }

    /// What each column needs when all fit; else what it cannot do without, and
    /// of the rest in proportion to what it wants.
    fn widths(&self, columns: usize) -> Vec<usize> {
        let most = |of: fn(&Cell) -> usize| -> Vec<usize> {
            let column = |index| self.rows.iter().filter_map(|row| row.get(index)).map(of).max();
            (0..columns).map(|index| column(index).unwrap_or(1).max(1)).collect()
        };
        let (wanted, least) = (most(Cell::width), most(Cell::least));
        let all = WIDTH.saturating_sub(BETWEEN * columns.saturating_sub(1));
        if wanted.iter().sum::<usize>() <= all {
            return wanted;
        }
        let rest = all.saturating_sub(least.iter().sum());
        let missing: usize = wanted.iter().zip(&least).map(|(wanted, least)| wanted - least).sum();
        let share = |(wanted, least): (&usize, &usize)| least + rest * (wanted - least) / missing.max(1);
        wanted.iter().zip(&least).map(share).collect()
    }
}

/// Keys and their meanings; what stands between them (a default) is named.
fn list(head: &[Cell], rows: &[Vec<Cell>]) -> String {
    let mut out = String::new();
    for row in rows {
        let [key, between @ .., meaning] = row.as_slice() else { continue };
        out.push_str(&format!(".TP\n{}", guarded(&key.roff)));
        for (cell, title) in between.iter().zip(head.iter().skip(1)) {
            out.push_str(&format!(" ({}: {})", title.roff, cell.roff));
        }
        out.push_str(&format!("\n{}\n", guarded(&meaning.roff)));
    }
    out + ".PP"
}
