// CHAIN ...,third,second,first,main,...
// CAUSE An index out of bounds panics; panic = abort.
// SAYS a Rust panic
// SAYS rust_panic_abort.rs:9:
// SIGNAL SIGABRT
// BUILD -O -C panic=abort
use std::hint::black_box;
#[inline(never)]
fn third(v: &[u8], i: usize) -> u8 { black_box(v)[black_box(i)] }
#[inline(never)]
fn second(v: &[u8], i: usize) -> u8 { black_box(third(v, i + 1)) + 1 }
#[inline(never)]
fn first(v: &[u8]) -> u8 { black_box(second(v, 2)) + 1 }
fn main() { black_box(first(&[1, 2, 3])); }
