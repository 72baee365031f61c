//! What a process is counted as: its container image, else its unit, else its
//! executable. Crashes and exposure use the same words, or no rate would mean
//! anything.

use std::borrow::Cow;

/// Hexadecimal digits in a row that are an id and not a name.
const ID_DIGITS: usize = 12;
/// Bytes of a text in a column; the record itself keeps all of it.
pub(crate) const TEXT_BYTES: usize = 256;

/// Image, else unit, else executable.
pub fn of<'a>(image: Option<&'a str>, unit: Option<&'a str>, exe: Option<&'a str>) -> Option<Cow<'a, str>> {
    image.map(short).or_else(|| unit.map(|unit| general(short(unit)))).or_else(|| exe.map(short))
}

/// A text, cut to [`TEXT_BYTES`].
pub fn short(text: &str) -> Cow<'_, str> {
    const MARK: &str = "…";
    if text.len() <= TEXT_BYTES {
        return Cow::Borrowed(text);
    }
    let room = TEXT_BYTES.saturating_sub(MARK.len());
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Cow::Owned(text.get(..end).unwrap_or("").to_owned() + MARK)
}

/// A unit that was made for one container, session or run says so with a
/// number; the number becomes `*`.
fn general(unit: Cow<'_, str>) -> Cow<'_, str> {
    let Some((stem, suffix)) = unit.rsplit_once('.') else { return unit };
    let numbered = ["session-", "user@", "run-u", "run-p", "user-"]
        .iter()
        .find_map(|start| Some((*start, stem.strip_prefix(start)?)))
        .filter(|(_, rest)| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some((start, _)) = numbered {
        return Cow::Owned(format!("{start}*.{suffix}"));
    }
    if !matches!(suffix, "scope" | "service") {
        return unit;
    }
    let digits = stem.bytes().rev().take_while(u8::is_ascii_hexdigit).count();
    match stem.len().checked_sub(digits).and_then(|at| stem.get(..at)) {
        Some(start) if digits >= ID_DIGITS && (start.is_empty() || start.ends_with(['-', '_'])) => {
            Cow::Owned(format!("{start}*.{suffix}"))
        }
        _ => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> String {
        of(None, Some(name), None).unwrap().into_owned()
    }

    #[test]
    fn a_unit_made_for_one_container_is_counted_with_its_like() {
        assert_eq!(unit("docker-0123456789abcdef0123.scope"), "docker-*.scope");
        assert_eq!(unit("session-42.scope"), "session-*.scope");
        assert_eq!(unit("user@1000.service"), "user@*.service");
        assert_eq!(unit("run-u17.service"), "run-u*.service");
    }

    #[test]
    fn a_name_that_somebody_chose_stays() {
        for name in ["nginx.service", "postgres@14-main.service", "cafe.service", "session-.scope", "x"] {
            assert_eq!(unit(name), name);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let cut = short(&"ä".repeat(300)).into_owned();
        assert!(cut.len() <= TEXT_BYTES && cut.ends_with("ä…"));
    }
}
