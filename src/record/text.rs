//! Names that a hostile process chose, as text that loses nothing.
//!
//! UTF-8 stays as it is; a byte that is not UTF-8 becomes `\xNN` and a
//! backslash becomes `\\`, so that two different names are never the same
//! text. Control characters stay: escaping them is the display's duty.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};

/// The text of a hostile name.
pub fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.push_str("\\\\");
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// This application's id for [`app_specific`] (a random UUID, fixed for ever).
const APPLICATION: [u8; 16] =
    [0x6b, 0x1c, 0x2f, 0x5a, 0x90, 0x4e, 0x4d, 0x0d, 0xa7, 0x35, 0x3e, 0x62, 0xc8, 0x11, 0xf9, 0x04];

/// The machine-id as only this application knows it: HMAC-SHA256 keyed by the
/// machine-id over the application id, cut to 16 bytes, with the bits of a
/// random UUID. Matches sd_id128_get_machine_app_specific(3).
pub fn app_specific(machine_id: &[u8; 16]) -> [u8; 16] {
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(machine_id) else { return [0; 16] };
    mac.update(&APPLICATION);
    let digest = mac.finalize().into_bytes();
    let mut id = [0; 16];
    id.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut id;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_names_are_never_the_same_text() {
        assert_eq!(text(b"caf\xc3\xa9\n"), "café\n");
        assert_eq!(text(b"a\xff"), "a\\xff");
        assert_eq!(text(b"a\\xff"), "a\\\\xff");
    }
}
