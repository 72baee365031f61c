//! NT_GNU_BUILD_ID, from a PT_NOTE of a module.
//!
//! Gives: the build-id, 4 to 64 bytes. Trusts: nothing; the notes are walked
//! by their own sizes, within the bytes that are there. Matches
//! `readelf -n` (alignment 4, or 8 when p_align is 8).

use crate::bytes::Bytes;

/// NT_GNU_BUILD_ID.
const BUILD_ID: u32 = 3;

/// The build-id in a note segment.
pub(super) fn find(mut notes: Bytes<'_>, align: u64) -> Option<Vec<u8>> {
    let unit = if align == 8 { 8 } else { 4 };
    loop {
        let name_size = usize::try_from(notes.take_u32()?).ok()?;
        let size = usize::try_from(notes.take_u32()?).ok()?;
        let kind = notes.take_u32()?;
        let name = notes.take(name_size)?;
        // The header is 12 bytes: with an alignment of 8 it counts as well.
        skip(&mut notes, name_size.checked_add(12)?, unit)?;
        let data = notes.take(size)?;
        if kind == BUILD_ID && name.as_slice() == b"GNU\0" && (4..=64).contains(&size) {
            return Some(data.as_slice().to_vec());
        }
        skip(&mut notes, size, unit)?;
    }
}

fn skip(notes: &mut Bytes<'_>, length: usize, unit: usize) -> Option<()> {
    let padding = length.checked_next_multiple_of(unit)?.checked_sub(length)?;
    notes.take(padding).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in [4, data.len() as u32, kind] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(b"GNU\0");
        bytes.extend(data);
        bytes
    }

    #[test]
    fn the_build_id_is_found_behind_other_notes() {
        let mut bytes = note(1, &[0; 16]);
        bytes.extend(note(BUILD_ID, &[7; 20]));
        assert_eq!(find(Bytes::new(&bytes), 4), Some(vec![7; 20]));
        assert_eq!(find(Bytes::new(&bytes), 8), Some(vec![7; 20]));
    }

    #[test]
    fn hostile_sizes_end_the_walk() {
        let mut bytes = note(1, &[0; 4]);
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(find(Bytes::new(&bytes), 4), None);
        assert_eq!(find(Bytes::new(&[0; 64]), 4), None);
    }
}
