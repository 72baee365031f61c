// CHAIN ...,give_up,dispatch,main,...
// CAUSE std::process::abort.
// SAYS the program called abort()
// SIGNAL SIGABRT
// BUILD -O
use std::hint::black_box;
#[inline(never)]
fn give_up(n: u32) -> u32 { if black_box(n) > 2 { std::process::abort() } n }
#[inline(never)]
fn dispatch(n: u32) -> u32 { black_box(give_up(n + 1)) + 1 }
fn main() { black_box(black_box(dispatch(2)) + 1); }
