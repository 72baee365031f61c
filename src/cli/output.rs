//! Standard output, and what is known about who reads it.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use jiff::tz::TimeZone;

use super::failure::Outcome;
use crate::report::Paint;
use crate::report::escape::columns as wide;

/// Standard output of one command.
#[derive(Debug)]
pub(super) struct Output {
    to: BufWriter<Stdout>,
    /// Colours, or not.
    pub(super) paint: Paint,
    /// Columns, when it is a terminal.
    pub(super) width: Option<usize>,
    /// The reader's time zone.
    pub(super) zone: TimeZone,
    /// Machines read it.
    pub(super) json: bool,
}

impl Output {
    /// Looks at the terminal and the environment, once.
    pub(super) fn open(json: bool) -> Output {
        let terminal = io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|v| v != "dumb");
        Output {
            to: BufWriter::new(io::stdout()),
            paint: if terminal && wanted { Paint::Colour } else { Paint::Plain },
            width: terminal.then(columns).flatten(),
            zone: TimeZone::system(),
            json,
        }
    }

    /// Text as it is.
    pub(super) fn text(&mut self, text: &str) -> Outcome {
        Ok(self.to.write_all(text.as_bytes())?)
    }

    /// One line.
    pub(super) fn line(&mut self, text: &str) -> Outcome {
        Ok(writeln!(self.to, "{text}")?)
    }

    /// Rows below a heading, aligned; cells are clean already.
    pub(super) fn table<const N: usize>(&mut self, heading: [&str; N], rows: &[[String; N]]) -> Outcome {
        let heading = heading.map(str::to_owned);
        let mut widths = [0usize; N];
        for row in rows.iter().chain([&heading]) {
            widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(wide(cell)));
        }
        for row in [&heading].into_iter().chain(rows) {
            let padded = row.iter().zip(widths).map(|(cell, width)| {
                let pad = " ".repeat(width.saturating_sub(wide(cell)));
                format!("{cell}{pad}")
            });
            self.line(padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }

    /// One JSON document on one line.
    pub(super) fn json_line(&mut self, value: &impl serde::Serialize) -> Outcome {
        serde_json::to_writer(&mut self.to, value).map_err(io::Error::from)?;
        self.line("")
    }

    /// One JSON document over many lines.
    pub(super) fn json_pretty(&mut self, value: &impl serde::Serialize) -> Outcome {
        serde_json::to_writer_pretty(&mut self.to, value).map_err(io::Error::from)?;
        self.line("")
    }

    /// Everything is out.
    pub(super) fn flush(&mut self) -> Outcome {
        Ok(self.to.flush()?)
    }
}

/// The terminal's width: COLUMNS, else what the terminal says.
fn columns() -> Option<usize> {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<usize>().ok());
    let asked = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    told.or_else(asked).filter(|width| *width >= 20)
}
