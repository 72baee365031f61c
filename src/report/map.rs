//! A study's picture: hosts by signatures. A bug is a column that many rows share, a
//! bad host a row with much that no other row has.

use std::fmt::Write;

use super::escape::clean;
use super::paint::Paint;
use crate::study::{Machine, Map, Verdict};

/// Of none, one, two or three, more.
const SHADES: [char; 4] = ['·', '▪', '■', '█'];
/// Columns of a host's name.
const NAME: usize = 24;

/// The letter of a signature that is a column of bugs.
pub(super) fn letter(map: &Map, signature: &str) -> Option<char> {
    let place = map.signatures.iter().take(map.bugs).position(|own| own == signature)?;
    ('a'..='z').nth(place)
}

/// The picture; nothing where there is nothing to see.
pub(super) fn map(map: &Map, machines: &[Machine], paint: Paint) -> String {
    if map.hosts.len() < 2 || map.signatures.len() < 2 {
        return String::new();
    }
    let mut out = String::new();
    let others = map.signatures.len().saturating_sub(map.bugs);
    let letters: String = ('a'..='z').take(map.bugs).collect();
    let names: Vec<String> = map.hosts.iter().map(|host| short(&clean(host))).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let _ = writeln!(
        out,
        "  {:width$}  {letters}{}",
        "",
        if others > 0 { format!(" │ {}", "only here, or nearly") } else { String::new() }
    );
    let mut rest = map.others.iter();
    for ((host, name), cells) in map.hosts.iter().zip(&names).zip(&map.cells) {
        let shade = |count: &u32| {
            let step = match count {
                0 => 0,
                1 => 1,
                2 | 3 => 2,
                _ => 3,
            };
            SHADES.get(step).copied().unwrap_or('█')
        };
        let bugs: String = cells.iter().take(map.bugs).map(shade).collect();
        let own: String = cells.iter().skip(map.bugs).map(shade).collect();
        let verdict = machines.iter().find(|machine| machine.host == *host).map(|machine| machine.verdict);
        let padded = format!("{name:width$}");
        let name = match verdict {
            Some(Verdict::Accuse) => paint.red(&padded),
            Some(Verdict::Drain) => paint.yellow(&padded),
            Some(Verdict::Look) => paint.bold(&padded),
            None => padded,
        };
        let own = if others > 0 { format!(" │ {own}") } else { String::new() };
        let rest = rest.next().filter(|rest| **rest > 0).map_or(String::new(), |rest| format!("  + {rest}"));
        let _ = writeln!(out, "  {name}  {bugs}{own}{}", paint.dim(&rest));
    }
    let _ = writeln!(
        out,
        "  {}",
        paint.dim(
            "restart chains: · none, ▪ one, ■ two or three, █ more, + of other signatures; suspects first, then hosts with most"
        )
    );
    out
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_mark_for_each_signature_and_columns_stand_below_their_letters() {
        let map = Map {
            hosts: vec!["bad\n".into(), "a-host-with-a-name-that-is-too-long".into()],
            signatures: vec!["x".into(), "y".into(), "z".into()],
            bugs: 2,
            cells: vec![vec![0, 1, 2], vec![9, 3, 0]],
            others: vec![0, 7],
        };
        assert_eq!(letter(&map, "y"), Some('b'));
        assert_eq!(letter(&map, "z"), None);
        let text = super::map(&map, &[], Paint::Plain);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].trim_end().ends_with("ab │ only here, or nearly"), "{text}");
        assert!(lines[1].starts_with("  bad\\n") && lines[1].ends_with("·▪ │ ■"), "{text}");
        assert!(lines[2].contains("too-lo") || lines[2].contains('…'), "{text}");
        assert!(lines[2].ends_with("█■ │ ·  + 7"), "{text}");
        let column = |line: &str, mark: char| line.chars().position(|c| c == mark);
        assert_eq!(column(lines[0], 'a'), column(lines[2], '█'));
    }
}
