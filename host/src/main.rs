//! The `rillbox` program.

fn main() -> std::process::ExitCode {
    rillbox::cli::main()
}
