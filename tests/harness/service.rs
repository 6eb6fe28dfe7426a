//! A service over HTTP whose paths say how it misbehaves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Listens on loopback until it is dropped.
///
/// `/ok` answers 200 with five bytes, `/echo` with how many came, `/to/PORT` redirects to that port of 127.0.0.1,
/// `/host` answers with the header `Host`, `/target` and what begins so with the request's own target, `/announced`
/// promises 9 GB, `/endless` never ends its body, `/head` its headers, `/slow` goes silent after a byte, `/broken`
/// leaves within the body, `/never` does not answer, `/drip` gives a byte of a long body now and then.
pub struct Service {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

impl Service {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, counts) = (listener.local_addr().unwrap(), Arc::<Counts>::default());
        let (mut tasks, shared) = (JoinSet::new(), counts.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let counts = shared.clone();
                counts.accepted.fetch_add(1, Ordering::SeqCst);
                counts.open.fetch_add(1, Ordering::SeqCst);
                connections.spawn(async move {
                    // The other side may leave at any time.
                    let _ = serve(stream).await;
                    counts.open.fetch_sub(1, Ordering::SeqCst);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, counts, _tasks: tasks }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut path, mut host, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let lower = line.to_ascii_lowercase();
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        } else if let Some(value) = lower.strip_prefix("host:") {
            host = value.trim().to_owned();
        } else if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        } else if line == "\r\n" {
            break;
        }
    }
    let received = tokio::io::copy(&mut (&mut stream).take(length), &mut tokio::io::sink()).await?;
    answer(&mut stream, &path, &host, received).await?;
    // What is left of the connection is the other side's: it is open until that closes it.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    Ok(())
}

async fn answer(stream: &mut BufReader<TcpStream>, path: &str, host: &str, received: u64) -> std::io::Result<()> {
    let whole = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let text = match path {
        "/ok" => whole("hello"),
        "/host" => whole(host),
        target if target.starts_with("/target") => whole(target),
        "/echo" => whole(&"e".repeat(usize::try_from(received / 1024).unwrap())),
        "/announced" => "HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\nhello".to_owned(),
        "/slow" => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx".to_owned(),
        "/broken" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx").await?;
            return stream.shutdown().await;
        }
        "/never" => String::new(),
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
        "/drip" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        "/head" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(format!("X-Long: {}\r\n", "x".repeat(1000)).as_bytes()).await?;
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
        }
        _ => match path.strip_prefix("/to/") {
            Some(port) => {
                format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/ok\r\nContent-Length: 0\r\n\r\n")
            }
            None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        },
    };
    stream.write_all(text.as_bytes()).await
}
