//! `publish`, `record` and `run`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use rillbox_media::SegmentMode;
use rillbox_trickle::{ChannelUrl, Client, ClientConfig, Start};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::serve::{Encoder, Guests};
use super::trust::Trust;
use crate::clip::{self, PublishOptions, RecordOptions, RunOptions};
use crate::serve;
use crate::session::StreamTimes;

#[derive(Debug, Args)]
pub struct Publish {
    /// A file that FFmpeg opens.
    file: PathBuf,
    /// Channel to publish to.
    #[arg(long)]
    url: ChannelUrl,
    /// Send each frame at its time.
    #[arg(long)]
    realtime: bool,
    /// Play the file so often; 0 plays it until interrupted.
    #[arg(long = "loop", default_value_t = 1, value_name = "N")]
    loops: u32,
    /// Encode in any case, rather than copy where that is possible.
    #[arg(long)]
    encode: bool,
    #[command(flatten)]
    trust: Trust,
}

impl Publish {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        rillbox_media::init();
        let summary = clip::publish(PublishOptions {
            file: self.file,
            url: self.url,
            client: Client::new(self.trust.resolve()?)?,
            realtime: self.realtime,
            loops: self.loops,
            mode: if self.encode { SegmentMode::Encode } else { SegmentMode::Auto },
            stop,
        })
        .await?;
        let how = if summary.copied { "copied" } else { "encoded" };
        println!(
            "published {:.1} s in {} segments, {} bytes, {how}; {} segments skipped",
            summary.played.as_secs_f64(),
            summary.segments,
            summary.bytes,
            summary.skipped
        );
        Ok(())
    }
}

#[derive(Debug, Args)]
pub struct Record {
    /// Channel to read.
    #[arg(long)]
    url: ChannelUrl,
    /// File to write; it appears when the channel ends, or on Ctrl-C.
    #[arg(long)]
    out: PathBuf,
    /// Seconds to wait for the channel.
    #[arg(long, default_value_t = 30)]
    wait: u64,
    #[command(flatten)]
    trust: Trust,
}

impl Record {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let summary = clip::record(RecordOptions {
            url: self.url,
            client: Client::new(self.trust.resolve()?)?,
            file: self.out.clone(),
            start: Start::Current,
            wait: Duration::from_secs(self.wait),
            stop,
        })
        .await?;
        println!(
            "recorded {} segments, {} bytes, to {}; {} segments missed",
            summary.segments,
            summary.bytes,
            self.out.display(),
            summary.skipped
        );
        Ok(())
    }
}

#[derive(Debug, Args)]
pub struct Run {
    /// The component.
    wasm: PathBuf,
    /// A file that FFmpeg opens.
    #[arg(long)]
    input: PathBuf,
    /// File to write, MPEG-TS.
    #[arg(long)]
    output: PathBuf,
    /// Params as a JSON object, the host's own keys among them.
    #[arg(long, default_value = "{}")]
    params: String,
    #[command(flatten)]
    guests: Guests,
    #[command(flatten)]
    encoder: Encoder,
}

impl Run {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let params: Value = serde_json::from_str(&self.params).context("--params is not JSON")?;
        if !self.wasm.is_file() {
            bail!("{}: there is no such file; `run` takes a component", self.wasm.display());
        }
        // Nothing of a single run stays on disk.
        let directory = TempDir::new().context("no temporary directory")?;
        let host = serve::host(serve::HostConfig {
            data_dir: directory.path().to_owned(),
            processor: self.wasm.to_str().map(str::to_owned),
            program: std::env::current_exe()?,
            limits: self.guests.limits().for_streams(1),
            device: self.guests.device(),
            input: self.guests.input(),
            output: self.encoder.resolve(),
            loading: false,
            client: ClientConfig::default(),
            allowed_urls: None,
            grants: self.guests.grants(),
            http_authorities: self.guests.http_authorities()?,
            max_processors: 1,
            max_streams: 1,
            times: StreamTimes::default(),
        })
        .await?;
        let processor = host.default_processor.clone().context("the component's path is not UTF-8")?;
        let options = RunOptions { processor, input: self.input, output: self.output.clone(), params, stop };
        let summary = clip::run(&host, options).await?;
        let seconds = summary.took.as_secs_f64();
        println!(
            "{} frames in, {} out, {} withheld, to {}: {seconds:.2} s, {:.1} frames/s; guest p50 {:.3} ms, p99 {:.3} ms",
            summary.frames_in,
            summary.frames_out,
            summary.frames_withheld,
            self.output.display(),
            summary.frames_in as f64 / seconds.max(1e-9),
            summary.guest_time[0].as_secs_f64() * 1e3,
            summary.guest_time[1].as_secs_f64() * 1e3,
        );
        if let Some(error) = summary.last_error {
            bail!("{} frames passed through unprocessed; the last error: {error}", summary.unprocessed);
        }
        Ok(())
    }
}
