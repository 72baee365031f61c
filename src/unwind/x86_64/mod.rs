//! What is particular to x86_64 in a walk.
mod ahead;
mod call;
mod reach;
mod signal;
pub(super) use ahead::ahead;
pub(super) use call::call_before;
pub(super) use reach::jumps_into;
pub(super) use signal::{interrupted, is_sigreturn};
