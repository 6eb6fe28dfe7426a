//! A trickle server that can only be read from, whose segments are made as they are sent: one may be larger than memory
//! should ever be.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a segment is made of: pieces, each of them so many times in a row.
pub type Recipe = Vec<(Bytes, usize)>;

/// The server, with one channel of any name. It is over after the last segment.
pub struct Source {
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Source {
    pub async fn start(segments: Vec<Recipe>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, mut tasks, segments) = (listener.local_addr().unwrap(), JoinSet::new(), Arc::new(segments));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(answer(client, segments.clone()));
            }
        });
        Self { address, _tasks: tasks }
    }

    pub fn channel(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }
}

/// Answers one request. A client that has gone has had enough.
async fn answer(mut client: TcpStream, segments: Arc<Vec<Recipe>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let index = head.split(' ').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let segment = index.parse().ok().and_then(|index: usize| segments.get(index));
    let length: usize = segment.into_iter().flatten().map(|(piece, times)| piece.len() * times).sum();
    let told = match (index, segment) {
        // The first one is in progress.
        ("next", _) => "Lp-Trickle-Latest: 1".to_owned(),
        (_, Some(_)) => format!("Lp-Trickle-Seq: {index}\r\nContent-Type: video/mp2t"),
        (_, None) => "Lp-Trickle-Closed: terminated".to_owned(),
    };
    let head = format!("HTTP/1.1 200 OK\r\n{told}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let mut sent = client.write_all(head.as_bytes()).await;
    for (piece, times) in segment.into_iter().flatten() {
        for _ in 0..*times {
            if sent.is_ok() {
                sent = client.write_all(piece).await;
            }
        }
    }
}
