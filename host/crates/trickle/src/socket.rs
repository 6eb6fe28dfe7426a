//! How TCP is used, on both sides.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Small writes go out at once; after `silent` without a byte the system asks whether the other side is still there, and then every
/// `probe`.
pub(crate) fn prepare(stream: &TcpStream, silent: Duration, probe: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(silent).with_interval(probe);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
