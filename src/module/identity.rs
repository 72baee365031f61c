//! What a function is, over builds and over strip: the hash that L2 uses.
//!
//! Gives: [`by_name`] and [`by_code`], SipHash-2-4 of one written rule:
//!
//! ```text
//! a .dynsym function begins exactly here → SipHash("name\0" name)
//! else                                   → SipHash("code\0" code, masked)
//! ```
//!
//! Masked is what moves when something else changes: rip-relative and
//! absolute displacements, targets of calls and jumps that leave the
//! function, immediates that are addresses of the module; on aarch64 adr,
//! adrp with its low parts, b, bl. Trusts: nothing; at most
//! [`limits::FUNCTION_BYTES`] are hashed.

use siphasher::sip::SipHasher24;
use std::hash::Hasher;

use super::{aarch64, x86_64};
use crate::elfcore::Machine;

/// The fixed key: "epicore function" in ASCII. Changing it changes every L2.
const KEY: &[u8; 16] = b"epicore function";

/// The function at hand: its code's address as linked and, when the module
/// has fixed addresses, the range that immediates may point into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code {
    /// Address of the first byte, as linked.
    pub(super) start: u64,
    /// Lowest and highest address of a module linked to fixed addresses.
    pub(super) fixed: Option<(u64, u64)>,
}

fn hash(kind: &[u8], bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new_with_key(KEY);
    hasher.write(kind);
    hasher.write(bytes);
    hasher.finish()
}

/// Identity by symbol.
pub(super) fn by_name(name: &[u8]) -> u64 {
    hash(b"name\0", name)
}

/// Identity by code.
pub(super) fn by_code(machine: Machine, code: Code, mut bytes: Vec<u8>) -> u64 {
    match machine {
        Machine::X86_64 => x86_64::mask(code, &mut bytes),
        Machine::Aarch64 => aarch64::mask(code, &mut bytes),
    }
    hash(b"code\0", &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_of_names_and_code_are_stable() {
        // A changed constant here means that old and new records no longer
        // share their L2: a new key version, not a fix of this test.
        assert_eq!(by_name(b"main"), 0x5927_4e45_233d_882e);
        let code = Code { start: 0x1000, fixed: None };
        assert_eq!(
            by_code(Machine::X86_64, code, vec![0x55, 0x48, 0x89, 0xe5, 0xe8, 1, 2, 3, 4, 0x5d, 0xc3]),
            0x8825_0e3d_e3a0_1762
        );
        assert_eq!(
            by_code(Machine::Aarch64, code, vec![0xfd, 0x7b, 0xbf, 0xa9, 1, 2, 0, 0x94]),
            0xc1e2_e321_d551_3e81
        );
        assert_ne!(by_name(b"main"), by_name(b"main2"));
    }

    #[test]
    fn code_that_only_moved_is_the_same_code() {
        let moved = |call: i32, lea: i32, start: u64| {
            let mut bytes = vec![0x55, 0x48, 0x89, 0xe5, 0xe8];
            bytes.extend(call.to_le_bytes());
            bytes.extend([0x48, 0x8d, 0x05]);
            bytes.extend(lea.to_le_bytes());
            bytes.extend([0x5d, 0xc3]);
            by_code(Machine::X86_64, Code { start, fixed: None }, bytes)
        };
        assert_eq!(moved(0x1234, 0x99, 0x1000), moved(-0x777, 0x5000, 0x40_0000));
        assert_ne!(moved(-9, 0x99, 0x1000), moved(0x1234, 0x99, 0x1000), "a call to itself stays");
    }
}
