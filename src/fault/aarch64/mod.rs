//! What is particular to aarch64 in a fault.

mod decode;

pub(super) use decode::{decode, has_switched, is_stub, target_register, untagged};
