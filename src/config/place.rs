//! Where in a file a key stands.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::TABLES;

type Entry<'a, 'text> = (&'a Spanned<Cow<'text, str>>, &'a Spanned<DeValue<'text>>);

/// The line of a key as the table of keys writes it (`limits.spool_bytes`), from 1 on.
pub(super) fn line(text: &str, key: &str) -> Option<usize> {
    let all = DeTable::parse(text).ok()?;
    let (table, name) = match key.split_once('.') {
        Some((outer, name)) if TABLES.contains(&outer) => {
            (entry(all.get_ref(), outer)?.1.get_ref().as_table()?, name)
        }
        _ => (all.get_ref(), key),
    };
    let start = entry(table, name)?.0.span().start;
    Some(text.get(..start)?.matches('\n').count().saturating_add(1))
}

fn entry<'a, 'text>(table: &'a DeTable<'text>, name: &str) -> Option<Entry<'a, 'text>> {
    table.iter().find(|(key, _)| key.get_ref() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_however_it_is_written() {
        let text =
            "spool='/s'\nthrottle.burst=3\n[limits]\n\nspool_bytes=1\n\"spool_records\"=2\n[oh.my]\nx=1\n";
        for (key, want) in [
            ("spool", Some(1)),
            ("throttle.burst", Some(2)),
            ("limits.spool_bytes", Some(5)),
            ("limits.spool_records", Some(6)),
            ("oh", Some(7)),
            ("oh.my", None),
            ("limits", Some(3)),
            ("limits.no", None),
        ] {
            assert_eq!(line(text, key), want, "{key}");
        }
        assert_eq!(line("a = [", "a"), None);
    }
}
