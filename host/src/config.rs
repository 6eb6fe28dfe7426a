//! The resolved settings of a host.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rillbox_media::{InputConfig, OutputConfig};
use rillbox_trickle::ClientConfig;

use crate::sandbox::Limits;

/// Everything that `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the REST surface.
    pub listen: SocketAddr,
    /// Address of the trickle server, if there is to be one.
    pub trickle: Option<SocketAddr>,
    /// Where processors are kept.
    pub data_dir: PathBuf,
    /// Name of a processor, or path of a component, for streams that name none.
    pub processor: Option<String>,
    /// The `rillbox` program, to compile with.
    pub program: PathBuf,
    /// Bounds of each instance.
    pub limits: Limits,
    /// Decoding.
    pub input: InputConfig,
    /// Encoding.
    pub output: OutputConfig,
    /// Speaking trickle to others.
    pub client: ClientConfig,
    /// Streams at once.
    pub max_streams: usize,
    /// Time that streams have to end when the host goes down.
    pub drain: Duration,
}
