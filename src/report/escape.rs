//! The one door through which a hostile name reaches a terminal.
//!
//! A process may call itself `"\x1b[2J\n"` and clear the screen of whoever
//! investigates it, or hide behind characters that turn the line around. What
//! could do that is shown as an escape (`\n`, `\x1b`, `\u{202e}`); everything
//! that is seen as itself stays. A record's text doubles backslashes, so that
//! an escape shown here is never the process's own spelling of one.

use std::fmt::Write;

/// Characters that are shown of one name; the rest is `…`.
const LONGEST: usize = 512;

/// `text` without anything that a terminal would obey.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (index, c) in text.chars().enumerate() {
        if index == LONGEST {
            out.push('…');
            break;
        }
        push(&mut out, c);
    }
    out
}

fn push(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        c if c.is_control() && u32::from(c) < 0x80 => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if c.is_control() || is_invisible(c) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Format characters that reorder, hide or break a line without being seen:
/// soft hyphen, zero-width and bidirectional marks, line and paragraph
/// separators, variation selectors, tags, and all that Unicode may never use.
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164
        | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
        | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
        | 0xe000..=0xf8ff)
}

/// Shortened to `width` columns at the end, with `…` in place of the rest.
pub fn shorten(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    out.push('…');
    out
}

/// Shortened to `width` columns at the beginning: a path's end says most.
pub fn shorten_front(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept = Vec::new();
    let mut used = 0;
    for c in text.chars().rev() {
        let wide = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        kept.push(c);
    }
    kept.push('…');
    kept.iter().rev().collect()
}

/// Columns that `text` takes on a terminal.
pub fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_a_process_called_itself() {
        assert_eq!(clean("\x1b[2J\n)"), "\\x1b[2J\\n)");
        assert_eq!(clean("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(clean("a\u{202e}b\u{200b}"), "a\\u{202e}b\\u{200b}");
        assert_eq!(clean("\u{7f}\0"), "\\x7f\\x00");
        assert_eq!(clean("café 日本"), "café 日本");
    }

    #[test]
    fn a_long_name_does_not_fill_the_screen() {
        assert_eq!(clean(&"x".repeat(100_000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn shortening_counts_columns_and_not_bytes() {
        assert_eq!(shorten("日本語", 5), "日本…");
        assert_eq!(shorten_front("/usr/lib/libx.so", 8), "…libx.so");
        assert_eq!(shorten("abc", 3), "abc");
    }
}
