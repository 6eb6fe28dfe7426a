//! TLS on a connection, before HTTP is spoken on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::access::TlsConfig;

/// What a TLS connection begins with: a handshake's record.
const HANDSHAKE: u8 = 0x16;

/// The answer to whoever speaks HTTP without TLS.
const PLAIN: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\
    Content-Length: 82\r\n\r\n\
    {\"status\":\"error\",\"message\":\"this port speaks TLS; call it with https, not http\"}\n";

/// What a connection turns out to speak.
pub enum Spoken<S> {
    /// TLS, which is agreed on.
    Tls(Box<TlsStream<S>>),
    /// HTTP without TLS; it has its answer and is to be closed.
    Plain(S),
    /// Nothing, or something that is not understood, within the limit.
    Nothing,
}

/// Whether the peer begins as TLS does; `None` if it says nothing within the limit. Nothing is taken from the stream.
pub async fn begins_with_tls(stream: &TcpStream, limit: Duration) -> Option<bool> {
    let mut first = [0];
    match timeout(limit, stream.peek(&mut first)).await {
        Ok(Ok(1)) => Some(first[0] == HANDSHAKE),
        _ => None,
    }
}

/// Agrees on TLS within the limit.
pub async fn accept<S>(stream: S, begins: Option<bool>, config: Arc<TlsConfig>, limit: Duration) -> Spoken<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match begins {
        None => Spoken::Nothing,
        Some(false) => plain(stream, limit).await,
        Some(true) => match timeout(limit, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => Spoken::Tls(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS was agreed on");
                Spoken::Nothing
            }
            Err(_elapsed) => {
                tracing::debug!("a TLS handshake took too long");
                Spoken::Nothing
            }
        },
    }
}

async fn plain<S: AsyncWrite + Unpin>(mut stream: S, limit: Duration) -> Spoken<S> {
    match timeout(limit, stream.write_all(PLAIN.as_bytes())).await {
        Ok(Ok(())) => Spoken::Plain(stream),
        _ => Spoken::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::PLAIN;

    /// Catches an answer that is cut off, or never ends.
    #[test]
    fn the_plain_answer_is_as_long_as_it_says() {
        let (head, body) = PLAIN.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
