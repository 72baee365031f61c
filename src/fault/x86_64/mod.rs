//! What is particular to x86_64 in a fault.

mod decode;
mod divide;
mod replay;

pub(super) use decode::{boundary, decode, has_switched, is_stub, is_thunk, target_register};
pub(super) use replay::{Contradiction, contradiction};
