// CHAIN ...,parse,job,...
// CAUSE Option::unwrap on None in a thread; panic = abort.
// SAYS a Rust panic
// SAYS rust_thread_unwrap.rs:10:
// SIGNAL SIGABRT
// BUILD -O -C panic=abort
// THREADS 2
use std::hint::black_box;
#[inline(never)]
fn parse(v: Option<u32>) -> u32 { black_box(v).unwrap() + 1 }
#[inline(never)]
fn job(v: Option<u32>) -> u32 { black_box(parse(v)) + 1 }
fn main() { let _ = std::thread::spawn(|| black_box(job(None)) + 1).join(); }
