//! The door of epicore.
fn main() {}
