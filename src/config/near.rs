//! What was probably meant by a slip.

/// Names that are offered, at most.
const OFFERED: usize = 3;
/// Letters that a slip changes, at most.
const SLIP: usize = 2;

/// The names that are a letter or two away from a wrong one; else those that it
/// is a whole part of (a host without its domain, or with it).
pub fn near<'a>(wrong: &str, names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let close = |name: &&str| name.len().abs_diff(wrong.len()) <= SLIP * 4;
    let measured = names.clone().filter(close).map(|name| (distance(name, wrong), name));
    let mut near: Vec<(usize, &str)> = measured.filter(|(distance, _)| *distance <= SLIP).collect();
    if near.is_empty() {
        let part = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
        near = names.filter(|name| part(name, wrong) || part(wrong, name)).map(|name| (0, name)).collect();
    }
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(OFFERED).map(|(_, name)| name.to_owned()).collect()
}

/// Letters to put in, take out or change (Levenshtein 1966), of short texts.
pub(super) fn distance(a: &str, b: &str) -> usize {
    const KEY: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(KEY).collect(), b.chars().take(KEY).collect());
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (row, x) in a.iter().enumerate() {
        let mut diagonal = row;
        let mut left = row + 1;
        for (over, y) in above.iter_mut().skip(1).zip(&b) {
            let least = (diagonal + usize::from(x != y)).min(left + 1).min(*over + 1);
            diagonal = std::mem::replace(over, least);
            left = least;
        }
        if let Some(first) = above.first_mut() {
            *first = row + 1;
        }
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_a_letter_and_a_missing_domain_are_seen() {
        let names = ["web-17", "web-18", "db-1.example", "web-170"];
        assert_eq!(near("wbe-17", names.into_iter()), ["web-17"]);
        assert_eq!(near("web17", names.into_iter())[0], "web-17");
        assert_eq!(near("db-1", names.into_iter()), ["db-1.example"]);
        assert!(near("nothing-like-it", names.into_iter()).is_empty());
    }
}
