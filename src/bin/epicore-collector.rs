//! The door of epicore-collector.

fn main() {}
