//! The command line: flags in, a resolved configuration out, and one room called.

mod access;
mod clip;
mod descriptors;
mod serve;
mod token;
mod trust;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::sandbox::{self, ChildError};
use crate::telemetry::{self, LogFormat};

/// Runs live-video processors as sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// How log lines look; RUST_LOG chooses which are written.
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the REST surface and run streams.
    Serve(Box<serve::Serve>),
    /// Serve trickle channels alone.
    Trickle(serve::Trickle),
    /// Send a file to a channel.
    Publish(clip::Publish),
    /// Write a channel to a file.
    Record(clip::Record),
    /// Put a file through a processor.
    Run(clip::Run),
    /// Make, list and revoke the tokens that open the REST surface.
    #[command(subcommand)]
    Token(token::Tokens),
    /// Compile a component; the host runs this as a child.
    #[command(hide = true)]
    Compile { wasm: PathBuf, code: PathBuf },
    /// Read a shader; the host runs this as a child.
    #[command(hide = true)]
    ReadShader,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        Command::Compile { wasm, code } => return compile(wasm, code),
        Command::ReadShader => return sandbox::read_shader(),
        _ => {}
    }
    telemetry::init(cli.log_format);
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, of which none is told twice: some errors have theirs in their own text.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| match cause.to_string() {
        cause if told.is_empty() => cause,
        cause if told.contains(&cause) => told,
        cause => format!("{told}: {cause}"),
    })
}

/// Threads for what blocks and ends by itself: files, names, compiling.
const BLOCKING: usize = 512;

fn run(command: Command) -> anyhow::Result<()> {
    // A stream's decoder and its encoder have one each for as long as it runs.
    let streams = if let Command::Serve(serve) = &command { serve.max_streams() } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("io")
        .max_blocking_threads(BLOCKING.saturating_add(streams.saturating_mul(2)))
        .build()?;
    let ended = runtime.block_on(async {
        let stop = stop_on_signal()?;
        match command {
            Command::Serve(command) => command.run(stop).await,
            Command::Trickle(command) => command.run(stop).await,
            Command::Publish(command) => command.run(stop).await,
            Command::Record(command) => command.run(stop).await,
            Command::Run(command) => command.run(stop).await,
            Command::Token(command) => command.run(),
            // Handled before there was a runtime.
            Command::Compile { .. } | Command::ReadShader => Ok(()),
        }
    });
    // Blocking threads of streams that were cut off do not hold up the exit.
    runtime.shutdown_background();
    ended
}

fn compile(wasm: &std::path::Path, code: &std::path::Path) -> ExitCode {
    match sandbox::compile(wasm, code) {
        Ok(description) => match serde_json::to_string(&description) {
            Ok(json) => {
                println!("{json}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        Err(ChildError::Refused(reason)) => {
            eprintln!("{reason}");
            ExitCode::from(sandbox::REFUSED as u8)
        }
        Err(ChildError::Failed(error)) => {
            eprintln!("{}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// A token that SIGINT and SIGTERM cancel.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancelled.cancel();
        tracing::info!("stopping");
    });
    Ok(stop)
}
