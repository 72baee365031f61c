//! Many crashes, one line each, aligned; the newest is the last, next to the
//! prompt.
//!
//! With a width (a terminal) no line is longer: the widest of the columns
//! that can be cut are cut until it fits. Without one nothing is cut.

use jiff::tz::TimeZone;

use super::escape::{clean, columns, shorten, shorten_front};
use super::paint::Paint;
use super::{frames, names::Names, reason, signal, time};
use crate::record::Record;
use crate::wire::api::Summary;

const COLUMNS: usize = 8;
const HEADINGS: [&str; COLUMNS] = ["TIME", "ID", "SIGNAL", "PROGRAM", "UNIT", "HOST", "WHERE", "KEY"];
/// Least width of the columns that may be cut; zero: never cut.
const LEAST: [usize; COLUMNS] = [0, 0, 0, 8, 8, 6, 12, 0];
/// Width of the columns of a table that is not whole yet: a time, eight digits,
/// the longest name of a signal, and most names.
const USUAL: [usize; COLUMNS] = [19, 8, 9, 15, 20, 12, 32, 8];
/// The id prefix is never shorter.
const ID_LEAST: usize = 8;

/// One crash of the table.
#[derive(Clone, Debug)]
pub struct Row {
    cells: [String; COLUMNS],
}

/// One record's cells; `id` is the prefix to show.
pub fn row(record: &Record, names: &Names, id: String, zone: &TimeZone) -> Row {
    let dash = || "-".to_owned();
    let process = &record.process;
    let unit = process.unit.as_deref().map(clean);
    let container = process.container.as_deref().map(|c| clean(&c.chars().take(12).collect::<String>()));
    let key = record.keys.functions.or(record.keys.leaf);
    Row {
        cells: [
            time::short(record.realtime_ns, zone),
            id,
            record.crash.signal.map_or_else(dash, signal::name),
            reason::who(record),
            unit.or(container).unwrap_or_else(dash),
            record.host.name.as_deref().map_or_else(dash, clean),
            frames::culprit(record).map_or_else(dash, |f| frames::phrase(record, names, f)),
            key.map_or_else(dash, |k| format!("{:016x}", k.0).chars().take(8).collect()),
        ],
    }
}

/// The cells of a crash as a collector tells it.
pub fn summary(summary: &Summary, id: String, zone: &TimeZone) -> Row {
    let dash = || "-".to_owned();
    let text = |value: &Option<String>| value.as_deref().map(clean);
    let program = summary.exe.as_deref().map(|exe| clean(frames::base(exe)));
    let key = summary.functions.or(summary.signature);
    Row {
        cells: [
            time::short(Some(summary.at), zone),
            id,
            summary.signal.map_or_else(dash, signal::name),
            program.or_else(|| text(&summary.comm)).unwrap_or_else(dash),
            text(&summary.unit).or_else(|| text(&summary.image)).unwrap_or_else(dash),
            clean(&summary.host),
            text(&summary.culprit).unwrap_or_else(dash),
            key.map_or_else(dash, |k| format!("{:016x}", k.0).chars().take(8).collect()),
        ],
    }
}

/// How many hexadecimal digits tell all these ids apart.
pub fn prefix_length<'a>(ids: impl Iterator<Item = &'a str>) -> usize {
    let mut sorted: Vec<&str> = ids.collect();
    sorted.sort_unstable();
    sorted.dedup();
    let common = |pair: &[&str]| match pair {
        [a, b] => a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count() + 1,
        _ => 0,
    };
    sorted.windows(2).map(common).max().unwrap_or(0).max(ID_LEAST)
}

/// A table that may grow: what follows stands below what was there, under one
/// heading.
#[derive(Clone, Debug)]
pub struct Table {
    widths: [usize; COLUMNS],
    headed: bool,
}

impl Table {
    /// As wide as its rows.
    pub fn new() -> Table {
        Table { widths: HEADINGS.map(columns), headed: false }
    }

    /// One whose rows come one by one: as wide as most of them are, so that a
    /// column seldom has to grow.
    pub fn following() -> Table {
        Table { widths: USUAL, headed: false }
    }

    /// The text of further rows; before the first, the headings.
    pub fn text(&mut self, rows: &[Row], width: Option<usize>, paint: Paint) -> String {
        for row in rows {
            for (widest, cell) in self.widths.iter_mut().zip(&row.cells) {
                *widest = (*widest).max(columns(cell));
            }
        }
        let widths = fitted(self.widths, width);
        let mut out = String::new();
        if !self.headed {
            self.headed = true;
            out.push_str(&line(&HEADINGS.map(str::to_owned), &widths, |text| paint.bold(text)));
        }
        for row in rows {
            out.push_str(&line(&row.cells, &widths, str::to_owned));
        }
        out
    }
}

impl Default for Table {
    fn default() -> Table {
        Table::new()
    }
}

/// The widths where no line may be longer than `width`.
fn fitted(mut widths: [usize; COLUMNS], width: Option<usize>) -> [usize; COLUMNS] {
    let Some(width) = width else { return widths };
    let gaps = 2 * (COLUMNS - 1);
    while widths.iter().sum::<usize>() + gaps > width {
        let spare = widths.iter_mut().zip(LEAST).filter(|(w, least)| *least > 0 && **w > *least);
        match spare.max_by_key(|(w, _)| **w) {
            Some((widest, _)) => *widest -= 1,
            None => break,
        }
    }
    widths
}

fn line(cells: &[String; COLUMNS], widths: &[usize; COLUMNS], paint: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = if HEADINGS.get(index) == Some(&"PROGRAM") {
            shorten_front(cell, *width)
        } else {
            shorten(cell, *width)
        };
        let pad = width.saturating_sub(columns(&cell));
        text.push_str(&cell);
        if index + 1 < COLUMNS {
            text.push_str(&" ".repeat(pad + 2));
        }
    }
    paint(text.trim_end()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(unit: &str) -> Row {
        let cells = ["2026-11-22 14:05:09", "41f7a2c3", "SIGSEGV", "server", unit, "web", "main", "9c1185a5"];
        Row { cells: cells.map(str::to_owned) }
    }

    /// Each crash of `tail -f` was a table of its own, with its own widths.
    #[test]
    fn rows_that_follow_stand_below_those_before_and_columns_only_grow() {
        let mut table = Table::following();
        let text = |table: &mut Table, unit| table.text(&[short(unit)], None, Paint::Plain);
        let first = text(&mut table, "a.service");
        let at = |text: &str| text.find("web").unwrap();
        let (heading, row) = first.split_once('\n').unwrap();
        assert_eq!(heading.find("HOST"), Some(at(row)));
        let second = text(&mut table, "another.service");
        assert_eq!((second.lines().count(), at(&second)), (1, at(row)), "no second heading");
        let long = text(&mut table, "a-unit-with-a-long-name@1.service");
        assert!(at(&long) > at(row));
        assert_eq!(at(&text(&mut table, "a.service")), at(&long), "it does not shrink again");
    }

    #[test]
    fn the_shown_prefix_tells_all_records_apart() {
        assert_eq!(prefix_length(["0193a5b27c1d", "0193a5b27c2d"].into_iter()), 11);
        assert_eq!(prefix_length(["0193", "abcd"].into_iter()), ID_LEAST);
        assert_eq!(prefix_length(std::iter::empty()), ID_LEAST);
    }
}
