//! The door of epicore-handler.
fn main() {}
