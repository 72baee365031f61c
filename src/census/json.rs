//! The text at a path of keys in JSON that somebody else wrote: all that a
//! census wants of a container's state, and 100 lines instead of a parser.
//!
//! It walks forward once, keeps nothing, never recurses, and skips what it does
//! not look for by counting brackets; of nonsense it says nothing. JSON as of
//! RFC 8259.

/// The string at `path`, unescaped.
pub(super) fn text_at(json: &[u8], path: &[&str]) -> Option<String> {
    let mut scan = Scan(json);
    for key in path {
        scan.enter(key)?;
    }
    scan.space();
    unescape(scan.string()?)
}

/// The elements of an array.
pub(super) fn elements(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut scan = Scan(json);
    scan.space();
    let mut more = scan.take(b'[');
    std::iter::from_fn(move || {
        more.then_some(())?;
        scan.space();
        let before = scan.0;
        scan.skip()?;
        let element = before.get(..before.len().saturating_sub(scan.0.len()));
        scan.space();
        more = scan.take(b',');
        element
    })
}

struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    fn space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.advance(1);
        }
        found
    }

    fn advance(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }

    /// To the value of a key of the object that begins here.
    fn enter(&mut self, key: &str) -> Option<()> {
        self.space();
        self.take(b'{').then_some(())?;
        loop {
            self.space();
            let found = self.string()?;
            self.space();
            self.take(b':').then_some(())?;
            if found == key.as_bytes() {
                return Some(());
            }
            self.skip()?;
            self.space();
            self.take(b',').then_some(())?;
        }
    }

    /// What stands between the quotes, still escaped.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"').then_some(())?;
        let text = self.0;
        let mut length = 0usize;
        loop {
            match text.get(length)? {
                b'"' => break,
                b'\\' => length = length.checked_add(2)?,
                _ => length = length.checked_add(1)?,
            }
        }
        self.advance(length.checked_add(1)?);
        text.get(..length)
    }

    /// Past one value.
    fn skip(&mut self) -> Option<()> {
        let mut open = 0usize;
        loop {
            self.space();
            match self.0.first()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    open = open.checked_add(1)?;
                    self.advance(1);
                    continue;
                }
                b'}' | b']' => {
                    open = open.checked_sub(1)?;
                    self.advance(1);
                }
                b',' | b':' => {
                    (open > 0).then_some(())?;
                    self.advance(1);
                    continue;
                }
                _ => {
                    let end = self.0.iter().position(|byte| b",:]}\" \t\r\n".contains(byte));
                    self.advance(end.unwrap_or(self.0.len()));
                }
            }
            if open == 0 {
                return Some(());
            }
        }
    }
}

fn unescape(raw: &[u8]) -> Option<String> {
    let mut units: Vec<u8> = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'\\' {
            units.push(*byte);
            continue;
        }
        match rest.next()? {
            b'b' => units.push(8),
            b'f' => units.push(12),
            b'n' => units.push(b'\n'),
            b'r' => units.push(b'\r'),
            b't' => units.push(b'\t'),
            b'u' => {
                let code = rest.as_slice().get(..4).and_then(|hex| std::str::from_utf8(hex).ok())?;
                let code = u32::from_str_radix(code, 16).ok()?;
                rest.nth(3)?;
                // Half of a surrogate pair: no image is named so.
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                units.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => units.push(*other),
        }
    }
    String::from_utf8(units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATE: &str = r#" { "a" : [1, {"b": "]}\""}, null], "Config": {"Env": ["Image=x"], "Image":
        "nginx:1.25\u002f\"q\"" }, "z": -1.5e3 } "#;

    #[test]
    fn a_text_is_found_at_its_path_and_nowhere_else() {
        assert_eq!(text_at(STATE.as_bytes(), &["Config", "Image"]).as_deref(), Some("nginx:1.25/\"q\""));
        assert_eq!(text_at(STATE.as_bytes(), &["Image"]), None);
        assert_eq!(text_at(STATE.as_bytes(), &["z"]), None);
        assert_eq!(text_at(STATE.as_bytes(), &["Config", "Env"]), None);
        let list: Vec<&[u8]> = elements(b"[ {\"id\":\"1\"} , [2] ,\"3\"]").collect();
        assert_eq!(list, [&b"{\"id\":\"1\"}"[..], b"[2]", b"\"3\""]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_reads_what_a_real_parser_reads(text in any::<String>(), other in any::<String>()) {
            prop_assume!(other != "Image");
            let json = serde_json::json!({ other: [text, {"Image": 1}], "Config": { "Image": text } });
            let found = text_at(json.to_string().as_bytes(), &["Config", "Image"]);
            if json.get("Config").and_then(|c| c.get("Image")).is_some() {
                prop_assert_eq!(found, Some(text));
            }
        }

        #[test]
        fn nonsense_ends(bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\u0a ".to_vec()), 0..64)) {
            let _ = text_at(&bytes, &["a", "0"]);
            let _ = elements(&bytes).count();
        }
    }
}
