//! The Annals binary.
fn main() {}
