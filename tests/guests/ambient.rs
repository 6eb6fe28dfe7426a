//! Reaches for everything that WASI has and nobody gave it: says what it got, and withholds its frames if it got nothing.

use rillbox_sdk::{Error, Processor, Result, VideoFrame, VideoOutcome};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// Where somebody listens, as `host:port`.
    listener: String,
}

#[derive(Default)]
struct Ambient {
    listener: String,
}

impl Processor for Ambient {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.listener = params.listener;
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        let got: Vec<String> = [files(), environment(), sockets(&self.listener)].concat();
        if got.is_empty() { Ok(VideoOutcome::Withheld) } else { Err(Error::msg(format!("got {}", got.join("; ")))) }
    }
}

/// What was got, with a name for it.
fn got<T: std::fmt::Debug, E>(what: &str, result: std::result::Result<T, E>) -> Option<String> {
    result.ok().map(|value| format!("{what}: {value:?}"))
}

fn files() -> Vec<String> {
    let paths = ["/", ".", "..", "/etc", "/proc/self", "/dev", "/tmp"];
    let listed = paths.iter().filter_map(|path| got(path, std::fs::read_dir(path).map(Iterator::count)));
    let read = ["/etc/passwd", "/proc/self/environ", "Cargo.toml", "../../../../etc/hostname"];
    let read = read.iter().filter_map(|path| got(path, std::fs::read(path).map(|bytes| bytes.len())));
    let written = got("a file", std::fs::write("/tmp/rillbox-ambient", "x"));
    let directory = got("a directory", std::env::current_dir().and_then(std::fs::read_dir).map(Iterator::count));
    listed.chain(read).chain(written).chain(directory).chain(preopens()).collect()
}

fn environment() -> Vec<String> {
    let variables = std::env::vars_os().map(|(name, _)| format!("variable {name:?}"));
    let arguments = std::env::args_os().map(|argument| format!("argument {argument:?}"));
    let mut typed = String::new();
    let input =
        std::io::stdin().read_line(&mut typed).ok().filter(|bytes| *bytes > 0).map(|_| format!("input {typed:?}"));
    variables.chain(arguments).chain(input).collect()
}

fn sockets(listener: &str) -> Vec<String> {
    use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
    let talk = |socket: UdpSocket| socket.send_to(b"x", listener);
    [
        got("a connection", TcpStream::connect(listener)),
        got("a listener", TcpListener::bind("127.0.0.1:0")),
        got("a datagram", UdpSocket::bind("0.0.0.0:0").and_then(talk)),
        got("a name", "localhost:80".to_socket_addrs().map(Iterator::count)),
        got("another name", "example.com:80".to_socket_addrs().map(Iterator::count)),
    ]
    .into_iter()
    .flatten()
    .chain(raw_sockets())
    .collect()
}

#[cfg(target_family = "wasm")]
fn preopens() -> Vec<String> {
    let mut found: Vec<String> = wasip2::filesystem::preopens::get_directories()
        .into_iter()
        .map(|(_, path)| format!("preopen {path:?}"))
        .collect();
    found.extend(wasip2::cli::environment::initial_cwd().map(|path| format!("working directory {path:?}")));
    found
}

/// Below the standard library, which gives up at the first refusal.
#[cfg(target_family = "wasm")]
fn raw_sockets() -> Vec<String> {
    use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
    use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};
    let network = instance_network::instance_network();
    let local = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });
    let mut found = Vec::new();
    if let Ok(socket) = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4) {
        let bound = socket.start_bind(&network, local).and_then(|()| socket.finish_bind());
        found.extend(got("a bound socket", bound));
    }
    if let Ok(socket) = udp_create_socket::create_udp_socket(IpAddressFamily::Ipv4) {
        let bound = socket.start_bind(&network, local).and_then(|()| socket.finish_bind());
        found.extend(got("a bound datagram socket", bound));
    }
    if let Ok(stream) = ip_name_lookup::resolve_addresses(&network, "localhost") {
        let resolved = stream.resolve_next_address();
        found.extend(resolved.ok().flatten().map(|address| format!("address {address:?}")));
    }
    found
}

#[cfg(not(target_family = "wasm"))]
fn preopens() -> Vec<String> {
    Vec::new()
}

#[cfg(not(target_family = "wasm"))]
fn raw_sockets() -> Vec<String> {
    Vec::new()
}

rillbox_sdk::export!(Ambient as "ambient");
