//! A page as it grows: the macros of man(7), and text that is none.

use std::fmt::Write;

use super::markdown;

/// One page.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) section: u8,
    body: String,
}

impl Page {
    /// A page with its NAME.
    pub(super) fn new(name: &str, section: u8, about: &str) -> Page {
        let mut page = Page { name: name.to_owned(), section, body: String::new() };
        page.section("NAME");
        page.line(&format!("{} \\- {}", escape(name), escape(about)));
        page
    }

    /// Begins a section.
    pub(super) fn section(&mut self, title: &str) {
        self.line(&format!(".SH {}", quoted(title)));
    }

    /// A line as it is.
    pub(super) fn line(&mut self, line: &str) {
        let _ = writeln!(self.body, "{}", line.trim_end_matches('\n'));
    }

    /// Text of ours; `docs` is where the package puts docs/.
    pub(super) fn markdown(&mut self, text: &str, docs: &str) {
        self.line(&markdown::to_roff(text, docs));
    }

    /// The whole page. Its first line has tbl run; lines are not stretched,
    /// because half of the words are names.
    pub(super) fn text(&self, date: &str) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "'\\\" t\n.TH {} {} {} {} {}\n.ad l\n{}",
            quoted(&self.name.to_uppercase()),
            self.section,
            format_args!("\"{date}\""),
            quoted(&format!("epicore {version}")),
            quoted("epicore"),
            without_idle_paragraphs(&self.body)
        )
    }
}

/// A paragraph that begins where one begins anyway, or that has no text.
fn without_idle_paragraphs(body: &str) -> String {
    let lines: Vec<&str> = body.lines().filter(|line| !line.is_empty()).collect();
    let begins = |line: &str| [".SH ", ".SS ", ".PP"].iter().any(|macro_| line.starts_with(macro_));
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let after =
            index.checked_sub(1).and_then(|before| lines.get(before)).is_some_and(|l| l.starts_with(".S"));
        let before = lines.get(index + 1).is_none_or(|next| begins(next) || next.starts_with(".TP"));
        if *line != ".PP" || !(after || before) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// An argument of a macro.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text).replace('"', "\\(dq"))
}

/// Text that is only text. Nothing depends on a locale: what is not ASCII goes
/// by its number. A hyphen is one that can be copied and typed.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\(rs"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            c if c.is_ascii() => out.push(c),
            c => {
                let _ = write!(out, "\\[u{:04X}]", u32::from(c));
            }
        }
    }
    out
}

/// A line of text cannot begin like a request.
pub(super) fn guarded(line: &str) -> String {
    if line.starts_with('.') { format!("\\&{line}") } else { line.to_owned() }
}

/// Paths in a line of text are not hyphenated.
pub(super) fn whole_paths(line: &str) -> String {
    let whole = |word: &str| word.contains('/') && !word.starts_with(['\\', '(']);
    let word = |word: &str| if whole(word) { format!("\\%{word}") } else { word.to_owned() };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
