//! What is particular to aarch64 in a module.
mod mask;
pub(super) use mask::mask;
