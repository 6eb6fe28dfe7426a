//! `serve` and `trickle`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use rillbox_media::{AudioConfig, AudioEncoding, InputConfig, OutputConfig, RateControl, VideoConfig};
use rillbox_trickle::{Server, ServerConfig};
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::descriptors;
use super::trust::Trust;
use crate::egress::{AllowedUrls, Grants};
use crate::sandbox::{Choice, Limits};
use crate::serve::{self, Config, HostConfig, Serving};
use crate::session::StreamTimes;

#[derive(Debug, Args)]
pub struct Serve {
    /// Address of the REST surface.
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Address of the embedded trickle server, which asks for no token: beyond loopback, let only those reach it who may read
    /// and write every channel.
    #[arg(long, default_value = "127.0.0.1:3389")]
    trickle: SocketAddr,
    /// A name beside localhost under which the trickle server may be asked while it listens on loopback: one that a proxy on this
    /// machine keeps; may be repeated.
    #[arg(long, value_name = "NAME")]
    trickle_host: Vec<String>,
    /// Serve no trickle channels: they are elsewhere.
    #[arg(long, conflicts_with_all = ["trickle", "trickle_host"])]
    no_trickle: bool,
    /// Where processors are kept.
    #[arg(long, default_value = "rillbox-data")]
    data_dir: PathBuf,
    /// Versions of processors that may be kept there.
    #[arg(long, default_value_t = 1000, value_parser = at_least_one)]
    max_processors: usize,
    /// Processor of streams that name none: NAME, NAME@VERSION or the path of a component.
    #[arg(long)]
    processor: Option<String>,
    /// Streams at once.
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
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
    /// Channels that streams may use: [http[s]://]HOST[:PORT][/PATH], without a scheme HOST[:PORT]; may be repeated. Without
    /// it, any while --listen is loopback and nobody needs a token, else public ones and the host's own.
    #[arg(long, value_name = "PATTERN")]
    allow_url: Vec<String>,
    #[command(flatten)]
    access: Access,
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
    #[arg(long, default_value_t = 3840 * 2160, value_parser = clap::value_parser!(u64).range(4..))]
    max_pixels: u64,
    /// Running time of a processor for each frame, in milliseconds.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    frame_budget: u64,
    /// What processors' shaders run on: `auto` is the first real GPU, `cpu` none, `gpu:N` the one that Vulkan lists at N, which may
    /// be one in software. It is opened when a processor first needs it.
    #[arg(long, default_value = "auto", value_name = "auto|cpu|gpu:N")]
    device: Choice,
    /// Hosts that processors may call where they ask for it: HOST is a name, *.NAME, an address, a range of addresses or *;
    /// without PORT it is 80 and 443. NAME= grants to one processor alone. May be repeated.
    #[arg(long, value_name = "[NAME=]HOST[:PORT][,…]")]
    grant_http: Vec<Grants>,
    /// PEM file with certificates of authorities that processors' requests trust beside the web's; may be repeated.
    #[arg(long, value_name = "FILE")]
    http_ca: Vec<PathBuf>,
}

impl Guests {
    /// What the sandbox understands.
    pub fn limits(&self) -> Limits {
        let frame_budget = Duration::from_millis(self.frame_budget);
        Limits { frame_budget, ..Limits::for_pixels(self.max_pixels) }
    }

    /// What their shaders run on.
    pub fn device(&self) -> Choice {
        self.device
    }

    /// What processors may call.
    pub fn grants(&self) -> Grants {
        Grants::all(self.grant_http.iter().cloned())
    }

    /// The texts of `--http-ca`.
    pub fn http_authorities(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("--http-ca {}", path.display()));
        self.http_ca.iter().map(read).collect()
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

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number of 1 or more".to_owned()),
        Ok(number) => Ok(number),
    }
}

impl Serve {
    /// Streams at once.
    pub fn max_streams(&self) -> usize {
        self.max_streams
    }

    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let allowed = (!self.allow_url.is_empty()).then(|| AllowedUrls::parse(&self.allow_url));
        let allowed_urls = allowed.transpose().context("--allow-url")?;
        let host = HostConfig {
            data_dir: self.data_dir,
            processor: self.processor,
            program: std::env::current_exe()?,
            limits: self.guests.limits().for_streams(self.max_streams),
            device: self.guests.device(),
            input: self.guests.input(),
            output: self.encoder.resolve(),
            loading: !self.no_loading,
            client: self.trust.resolve()?,
            allowed_urls,
            grants: self.guests.grants(),
            http_authorities: self.guests.http_authorities()?,
            max_processors: self.max_processors,
            max_streams: self.max_streams,
            times: StreamTimes { input: self.input_timeout, drain: self.drain },
        };
        let config = Config {
            listen: self.listen,
            trickle: (!self.no_trickle).then_some(self.trickle),
            server: ServerConfig { hosts: self.trickle_host, ..descriptors::server_config() },
            access: self.access.resolve(),
            host,
        };
        Serving::bind(config).await?.run(stop).await
    }
}

#[derive(Debug, Args)]
pub struct Trickle {
    /// Address of the server, which asks for no token: beyond loopback, let only those reach it who may read and write every
    /// channel.
    #[arg(long, default_value = "127.0.0.1:3389")]
    listen: SocketAddr,
    /// A name beside localhost under which it may be asked while it listens on loopback: one that a proxy on this machine keeps; may
    /// be repeated.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
}

impl Trickle {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let config = ServerConfig { hosts: self.host, ..descriptors::server_config() };
        let server = Server::bind(self.listen, config).await?;
        serve::warn_of_open_trickle(server.local_addr());
        tracing::info!(trickle = %server.local_addr(), "ready");
        server.run(stop).await;
        Ok(())
    }
}
