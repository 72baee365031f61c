//! Markdown → roff, as far as docs/ and our module documentation use it.
//!
//! `#` begins a section, every other heading a subsection. A table is tbl's
//! ([`super::tables`]); one whose first column is called "key" becomes a list,
//! because a page has 80 columns and a key with its meaning does not.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::roff::{escape, guarded};
use super::tables::{Cell, Table};

/// Text of ours as the body of a page.
pub(super) fn to_roff(text: &str, docs: &str) -> String {
    let mut writer = Writer { docs, ..Writer::default() };
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        writer.event(event);
    }
    writer.out
}

#[derive(Default)]
struct Writer<'a> {
    docs: &'a str,
    out: String,
    /// The paragraph, cell or heading that is being read, and its plain width.
    line: Cell,
    /// Lists that are open: the next number, when it has any.
    lists: Vec<Option<u64>>,
    /// The next paragraph goes on after a list's mark.
    marked: bool,
    code: bool,
    table: Option<Table>,
}

impl Writer<'_> {
    fn put(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn take(&mut self) -> Cell {
        std::mem::take(&mut self.line)
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.code => self.verbatim(&text),
            Event::Text(text) => self.line.text(&refer(&text, self.docs)),
            Event::Code(text) => self.line.font("B", &refer(&text, self.docs)),
            Event::SoftBreak | Event::HardBreak => self.line.text(" "),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph if self.marked => self.marked = false,
            Tag::Paragraph => self.put(".PP"),
            Tag::CodeBlock(kind) => {
                let _: CodeBlockKind<'_> = kind;
                self.code = true;
                self.put(".PP\n.in +4n\n.EX");
            }
            Tag::List(first) => {
                self.text_of_item();
                if !self.lists.is_empty() {
                    self.put(".RS 4");
                }
                self.lists.push(first);
            }
            Tag::Item => self.mark(),
            Tag::Strong => self.line.open("B"),
            Tag::Emphasis => self.line.open("I"),
            Tag::Table(_) => self.table = Some(Table::default()),
            _ => {}
        }
    }

    fn mark(&mut self) {
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!(".IP {}. 4", *number - 1)
            }
            _ => ".IP \\(bu 2".to_owned(),
        };
        self.put(&mark);
        self.marked = true;
    }

    /// A tight item has no paragraph of its own.
    fn text_of_item(&mut self) {
        let cell = self.take();
        if !cell.roff.is_empty() {
            self.put(&guarded(&cell.roff));
        }
    }

    fn verbatim(&mut self, text: &str) {
        for line in text.lines() {
            self.put(&guarded(&escape(line)));
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.text_of_item(),
            TagEnd::Heading(level) => {
                let cell = self.take();
                match level {
                    HeadingLevel::H1 => self.put(&format!(".SH \"{}\"", cell.roff.to_uppercase())),
                    _ => self.put(&format!(".SS \"{}\"", cell.roff)),
                }
            }
            TagEnd::CodeBlock => {
                self.code = false;
                self.put(".EE\n.in");
            }
            TagEnd::Item => {
                self.text_of_item();
                self.marked = false;
            }
            TagEnd::List(_) => {
                self.lists.pop();
                if !self.lists.is_empty() {
                    self.put(".RE");
                }
            }
            TagEnd::Strong | TagEnd::Emphasis => self.line.close(),
            TagEnd::TableCell => {
                let cell = self.take();
                if let Some(table) = &mut self.table {
                    table.cell(cell);
                }
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                if let Some(table) = &mut self.table {
                    table.end_row();
                }
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    self.put(&table.to_roff());
                }
            }
            _ => {}
        }
    }
}

/// Documents that are manual pages are named as such, the others by the place
/// to which the package brings them.
fn refer(text: &str, docs: &str) -> String {
    let mut out = String::new();
    let word = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let mut rest = text;
    while let Some(at) = rest.find(".md") {
        let end = at + 3;
        let start = rest[..at].rfind(|c| !word(c)).map_or(0, |before| before + 1);
        out.push_str(&rest[..start]);
        let name = rest[start..end].strip_prefix("docs/").unwrap_or(&rest[start..end]);
        out.push_str(&match name {
            "configuration.md" => "epicore.toml(5)".to_owned(),
            "daemon.md" => "epicored(8)".to_owned(),
            "collector.md" => "epicore-collector(8)".to_owned(),
            name => format!("{docs}/{name}"),
        });
        rest = &rest[end..];
    }
    out + rest
}
