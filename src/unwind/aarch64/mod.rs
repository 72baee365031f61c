//! What is particular to aarch64 in a walk.
mod ahead;
mod call;
mod reach;
mod signal;
pub(super) use ahead::ahead;
pub(super) use call::{call_before, strip};
pub(super) use reach::jumps_into;
pub(super) use signal::{interrupted, is_sigreturn};
