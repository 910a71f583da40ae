//! Project tasks: `cargo xtask demo | test | install | results`.
fn main() {}
