//! Numbers and words as the kernel prints them.
//!
//! A value that is not exactly a number is no value: `-1`, an empty file and
//! twenty-one digits are all `None`.

/// A decimal number, with the line end that sysfs adds.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The same, of 32 bits.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    decimal(text).and_then(|number| u32::try_from(number).ok())
}

/// A hexadecimal number after `0x`, or a decimal one.
pub(super) fn either(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    let Some(digits) = text.strip_prefix(b"0x") else { return decimal(text) };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(number << 4 | u64::from(digit))
    })
}

/// Words of a firmware or of an administrator: UTF-8 as far as it goes, no
/// longer than `most` bytes; nothing when empty.
pub(super) fn words(text: &[u8], most: usize) -> Option<String> {
    let text = text.trim_ascii();
    let text = text.get(..most).unwrap_or(text);
    let text = String::from_utf8_lossy(text).trim_end_matches('\u{fffd}').to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_none() {
        assert_eq!(decimal(b"42\n"), Some(42));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"\n", b"-1", b"18446744073709551616", b"4 2", b"0x1", b"\xff"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
        assert_eq!(number(b"4294967296"), None);
        assert_eq!(either(b"0x1000065\n"), Some(0x0100_0065));
        assert_eq!(either(b"0x"), None);
        assert_eq!(either(b"0x00000000000000001"), None);
    }
}
