//! The `rillbox` program.

use tikv_jemallocator::Jemalloc;

// FFmpeg's frames come from it, too. It is set up where it is built, in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> std::process::ExitCode {
    rillbox::cli::main()
}
