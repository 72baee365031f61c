//! What is particular to aarch64 in a walk.
mod ahead;
mod call;
mod signal;
pub(super) use ahead::ahead;
pub(super) use call::{call_before, strip};
pub(super) use signal::{interrupted, is_sigreturn};
