// CHAIN ...,panic_in_cleanup,work,main,...
// CAUSE A destructor panics while a panic unwinds the stack; when the second panic leaves the destructor, the program aborts (the frame of `drop` is gone by then).
// SAYS a Rust panic
// SIGNAL SIGABRT
// BUILD -O
use std::hint::black_box;
struct Guard(Option<u32>);
impl Drop for Guard {
    #[inline(never)]
    fn drop(&mut self) { black_box(black_box(self.0).unwrap()); }
}
#[inline(never)]
fn deep(v: Option<u32>) -> u32 { black_box(black_box(v).expect("a number")) + 1 }
#[inline(never)]
fn work(v: Option<u32>) -> u32 { let guard = Guard(v); black_box(deep(v)) + guard.0.map_or(0, |n| n) }
fn main() { black_box(black_box(work(None)) + 1); }
