//! The door of epicored.

fn main() {}
