//! Text in the spool's own line files: any text, one field, one line.
//!
//! Control characters and the backslash become `\xNN`, so a tab always ends a
//! field and a newline a line, whatever a collector or a host name said.

/// A field of at most `most` bytes before it is escaped.
pub(super) fn escape(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut length = 0usize;
    for c in text.chars() {
        length = length.saturating_add(c.len_utf8());
        if length > most {
            break;
        }
        match c {
            '\0'..='\x1f' | '\x7f' | '\\' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// The text again. What is no escape stays as it is.
pub(super) fn unescape(field: &str) -> String {
    let mut out = String::new();
    let mut rest = field;
    while let Some((before, after)) = rest.split_once("\\x") {
        out.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(u8::is_ascii) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = after.get(2..).unwrap_or("");
            }
            None => {
                out.push_str("\\x");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_one_field_and_comes_back() {
        for text in ["", "plain", "a\tb\nc\\x41\x1b[31m\x7f", "ünïcode \u{202e}", "\\", "\\x"] {
            let field = escape(text, 1000);
            assert!(!field.contains(['\t', '\n', '\x1b']), "{field}");
            assert_eq!(unescape(&field), text);
        }
        assert_eq!(escape("aäb", 2), "a");
        assert_eq!(unescape("\\xzz \\xff"), "\\xzz \\xff");
    }
}
