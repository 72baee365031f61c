//! What is particular to x86_64 in a module.
mod mask;
pub(super) use mask::mask;
