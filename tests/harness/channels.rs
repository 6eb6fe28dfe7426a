//! Trickle servers beside the host: the program `rillbox trickle`, which can be killed, and a front that puts one in trouble.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rillbox_trickle::ChannelUrl;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{memory, program};

/// The program `rillbox trickle`. Dropping it ends the process.
pub struct Channels {
    child: Child,
    pub address: SocketAddr,
}

impl Channels {
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    fn start_at(listen: &str) -> Self {
        let mut child = Command::new(program())
            .args(["trickle", "--listen", listen, "--log-format", "json"])
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            line["trickle"].as_str().map(|address| address.parse().unwrap())
        });
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("channels: {line}")));
        Self { child, address: address.expect("the server ended before it was ready") }
    }

    /// Starts it again after [`Channels::kill`], at its address, with nothing in memory.
    pub fn revive(&mut self) {
        *self = Self::start_at(&self.address.to_string());
    }

    /// Ends it without a word to anybody.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Resident memory of the process, in bytes.
    pub fn memory(&self) -> u64 {
        memory(self.child.id(), "VmRSS")
    }

    /// The most that [`Channels::memory`] ever was.
    pub fn peak_memory(&self) -> u64 {
        memory(self.child.id(), "VmHWM")
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn channel(&self, name: &str) -> ChannelUrl {
        format!("{}/{name}", self.base()).parse().unwrap()
    }
}

impl Drop for Channels {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a [`Front`] treats its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Everything goes through.
    Sound,
    /// Connections are taken, and nothing moves.
    Silent,
    /// As [`Manner::Silent`], for connections that are made from now on alone.
    SilentToNew,
    /// So many bytes a second go through on each connection.
    Slow(usize),
    /// Every request is answered with this status; connections that were sound are cut.
    Answering(u16),
}

/// A server in front of another, sound or in trouble.
pub struct Front {
    pub address: SocketAddr,
    manner: watch::Sender<Manner>,
    _tasks: JoinSet<()>,
}

impl Front {
    pub async fn start(behind: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, manner, mut tasks) = (listener.local_addr().unwrap(), watch::Sender::new(manner), JoinSet::new());
        let manners = manner.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.spawn(serve(client, behind, manners.subscribe()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, manner, _tasks: tasks }
    }

    pub fn turn(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    pub fn channel(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }
}

async fn serve(mut client: TcpStream, behind: SocketAddr, manner: watch::Receiver<Manner>) {
    let first = *manner.borrow();
    if let Manner::Answering(status) = first {
        // The request's head; what follows of it is not waited for.
        let _ = client.read(&mut [0; 4096]).await;
        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let _ = client.write_all(answer.as_bytes()).await;
        let _ = client.shutdown().await;
        while matches!(client.read(&mut [0; 4096]).await, Ok(1..)) {}
        return;
    }
    if first == Manner::SilentToNew {
        std::future::pending::<()>().await;
    }
    let Ok(server) = TcpStream::connect(behind).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let both = async {
        tokio::join!(pump(from_client, to_server, manner.clone()), pump(from_server, to_client, manner.clone()));
    };
    let mut cut = manner.clone();
    tokio::select! {
        () = both => {}
        _ = cut.wait_for(|manner| matches!(manner, Manner::Answering(_))) => {}
    }
}

async fn pump(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut manner: watch::Receiver<Manner>,
) {
    let mut buffer = vec![0; 4096];
    loop {
        let moves = |manner: &Manner| *manner != Manner::Silent;
        if manner.wait_for(moves).await.is_err() {
            return;
        }
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let Ok(manner) = manner.wait_for(moves).await.map(|manner| *manner) else { return };
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            let _ = to.shutdown().await;
            return;
        }
        if let Manner::Slow(rate) = manner {
            tokio::time::sleep(Duration::from_secs_f64(read as f64 / rate as f64)).await;
        }
    }
}
