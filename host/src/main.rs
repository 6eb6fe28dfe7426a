//! The `rillbox` program.

use rillbox::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> std::process::ExitCode {
    rillbox::cli::main()
}
