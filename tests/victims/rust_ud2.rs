// CHAIN never,dispatch,main,...
// CAUSE A state that was thought to be impossible: an undefined instruction.
// SAYS a trap instruction: the compiler's mark of what must not be reached
// SIGNAL SIGILL
// BUILD -O
use std::hint::black_box;
#[inline(never)]
fn never(n: u32) -> u32 { if black_box(n) > 2 { unsafe { std::arch::asm!("ud2") } } n }
#[inline(never)]
fn dispatch(n: u32) -> u32 { black_box(never(n + 1)) + 1 }
fn main() { black_box(black_box(dispatch(2)) + 1); }
