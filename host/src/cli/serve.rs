//! `serve` and `trickle`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rillbox_media::{AudioConfig, AudioEncoding, InputConfig, OutputConfig, RateControl, VideoConfig};
use rillbox_trickle::Server;
use tokio_util::sync::CancellationToken;

use super::descriptors;
use super::trust::Trust;
use crate::sandbox::Limits;
use crate::serve::{Config, HostConfig, Serving};
use crate::session::StreamTimes;

#[derive(Debug, Args)]
pub struct Serve {
    /// Address of the REST surface.
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Address of the embedded trickle server.
    #[arg(long, default_value = "127.0.0.1:3389")]
    trickle: SocketAddr,
    /// Serve no trickle channels: they are elsewhere.
    #[arg(long, conflicts_with = "trickle")]
    no_trickle: bool,
    /// Where processors are kept.
    #[arg(long, default_value = "rillbox-data")]
    data_dir: PathBuf,
    /// Processor of streams that name none: NAME, NAME@VERSION or the path of a component.
    #[arg(long)]
    processor: Option<String>,
    /// Streams at once.
    #[arg(long, default_value_t = 64)]
    max_streams: usize,
    /// Show nothing, rather than a loading picture, while a processor withholds its pictures.
    #[arg(long)]
    no_loading: bool,
    /// Seconds without a byte of input after which a stream is over.
    #[arg(long, default_value = "60s", value_parser = seconds)]
    input_timeout: Duration,
    /// Seconds that a stream has to send what is under way when its input ends or the host goes down.
    #[arg(long, default_value = "10s", value_parser = seconds)]
    drain: Duration,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    guests: Guests,
    #[command(flatten)]
    encoder: Encoder,
}

/// What streams and their processors may use.
#[derive(Debug, Args)]
pub struct Guests {
    /// Pixels of a picture at most, decoded or made by a processor.
    #[arg(long, default_value_t = 3840 * 2160)]
    max_pixels: u64,
    /// Running time of a processor for each frame, in milliseconds.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    frame_budget: u64,
}

impl Guests {
    /// What the sandbox understands.
    pub fn limits(&self) -> Limits {
        let frame_budget = Duration::from_millis(self.frame_budget);
        Limits { frame_budget, ..Limits::for_pixels(self.max_pixels) }
    }

    /// What media understands.
    pub fn input(&self) -> InputConfig {
        InputConfig { max_pixels: self.max_pixels, ..InputConfig::default() }
    }
}

/// How output is encoded.
#[derive(Debug, Args)]
pub struct Encoder {
    /// Constant quality of the output, 0 (lossless) to 51.
    #[arg(long, default_value_t = 23, value_parser = clap::value_parser!(u8).range(0..=51))]
    crf: u8,
    /// Bits a second of the output's video, instead of constant quality.
    #[arg(long, conflicts_with = "crf", value_parser = clap::value_parser!(u32).range(10_000..))]
    bitrate: Option<u32>,
    /// Codec of the output's sound.
    #[arg(long, value_enum, default_value_t = AudioCodec::Opus)]
    audio_codec: AudioCodec,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AudioCodec {
    Opus,
    Aac,
}

impl Encoder {
    /// What media understands.
    pub fn resolve(&self) -> OutputConfig {
        let rate = self.bitrate.map_or(RateControl::Crf(self.crf), RateControl::Bitrate);
        let encoding = match self.audio_codec {
            AudioCodec::Opus => AudioEncoding::Opus,
            AudioCodec::Aac => AudioEncoding::Aac,
        };
        OutputConfig {
            video: VideoConfig { rate, ..VideoConfig::default() },
            audio: AudioConfig { encoding, ..AudioConfig::default() },
        }
    }
}

/// `10` or `10s`, from a second to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.strip_suffix('s').unwrap_or(text).parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("not a number of seconds from 1 to 86400, such as 10s".to_owned()),
    }
}

impl Serve {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let host = HostConfig {
            data_dir: self.data_dir,
            processor: self.processor,
            program: std::env::current_exe()?,
            limits: self.guests.limits().for_streams(self.max_streams),
            input: self.guests.input(),
            output: self.encoder.resolve(),
            loading: !self.no_loading,
            client: self.trust.resolve()?,
            max_streams: self.max_streams,
            times: StreamTimes { input: self.input_timeout, drain: self.drain },
        };
        let config = Config {
            listen: self.listen,
            trickle: (!self.no_trickle).then_some(self.trickle),
            server: descriptors::server_config(),
            host,
        };
        Serving::bind(config).await?.run(stop).await
    }
}

#[derive(Debug, Args)]
pub struct Trickle {
    /// Address of the server.
    #[arg(long, default_value = "127.0.0.1:3389")]
    listen: SocketAddr,
}

impl Trickle {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let server = Server::bind(self.listen, descriptors::server_config()).await?;
        tracing::info!(trickle = %server.local_addr(), "ready");
        server.run(stop).await;
        Ok(())
    }
}
