//! Logs: structured, to standard error, as text or as one JSON object a line. `RUST_LOG` chooses what is written.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// What is written unless somebody chooses. wgpu warns of buffers that a GPU and the host both reach, which is how pictures go up and
/// down without a copy.
const USUAL: &str = "info,wgpu_core=error,wgpu_hal=error";

/// Starts logging; only the first call of a process has an effect.
pub fn init(format: LogFormat) {
    let chosen = EnvFilter::try_from_default_env();
    let wrong =
        chosen.as_ref().err().filter(|_| std::env::var_os(EnvFilter::DEFAULT_ENV).is_some()).map(ToString::to_string);
    let filter = chosen.unwrap_or_else(|_| EnvFilter::new(USUAL));
    // A line that cannot be written is lost; by default that would be written, too, with a panic where it cannot be.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // A second call finds a logger in place, and leaves it there.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Some(error) = wrong {
        tracing::warn!(error, "RUST_LOG is not understood, and left aside");
    }
}
