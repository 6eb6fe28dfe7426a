//! A server to test against, and a client that shows every byte.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use rillbox_trickle::{ChannelUrl, Client, ClientConfig, Server, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; a test that would hang fails instead.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// Bounds a wait.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("this should not take long")
}

pub struct TestServer {
    pub addr: SocketAddr,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(ServerConfig::default()).await
    }

    pub async fn with(config: ServerConfig) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), config).await
    }

    pub async fn at(addr: SocketAddr, config: ServerConfig) -> Self {
        let server = Server::bind(addr, config).await.unwrap();
        let (addr, stop) = (server.local_addr(), CancellationToken::new());
        let task = tokio::spawn(server.run(stop.clone()));
        Self { addr, stop, task }
    }

    /// Stops it and waits until it is gone.
    pub async fn stop(mut self) -> SocketAddr {
        self.stop.cancel();
        soon(&mut self.task).await.unwrap();
        self.addr
    }

    pub fn url(&self, name: &str) -> ChannelUrl {
        format!("http://{}/{name}", self.addr).parse().unwrap()
    }

    pub async fn wire(&self) -> Wire {
        Wire::open(self.addr).await
    }

    /// One request on a connection of its own, its reply in full.
    pub async fn ask(&self, request: &str) -> Reply {
        let mut wire = self.wire().await;
        wire.send(request).await;
        wire.reply().await
    }

    /// Publishes a whole segment.
    pub async fn post(&self, path: &str, body: &str) -> Reply {
        self.ask(&format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
            .await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(&get(path)).await
    }

    /// The first chunk of a segment.
    pub async fn get_started(&self, path: &str) -> String {
        let mut wire = self.wire().await;
        wire.send(&get(path)).await;
        assert_eq!(wire.head().await.status, 200);
        wire.chunk().await.unwrap()
    }

    /// Everything the server sends until it closes.
    pub async fn ask_raw(&self, request: &str) -> String {
        let mut wire = self.wire().await;
        wire.send(request).await;
        let mut text = String::new();
        soon(wire.stream.read_to_string(&mut text)).await.unwrap();
        text
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.ask(&format!("DELETE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await
    }

    pub async fn create(&self, name: &str, content_type: &str) {
        let request = format!("POST /{name} HTTP/1.1\r\nHost: localhost\r\nExpect-Content: {content_type}\r\n\r\n");
        assert_eq!(self.ask(&request).await.status, 200);
    }

    /// A reader that is known to wait on the server.
    pub async fn waiting_get(&self, channel: &str, index: &str) -> Wire {
        self.wire().await.behind_next(channel, &get(&format!("/{channel}/{index}"))).await
    }

    /// A publisher that is known to have reached the server, without a byte of its body.
    pub async fn preconnect(&self, channel: &str, index: &str) -> Wire {
        self.wire().await.behind_next(channel, &chunked_post(&format!("/{channel}/{index}"), "")).await
    }

    /// What `next` tells.
    pub async fn latest(&self, channel: &str) -> String {
        self.get(&format!("/{channel}/next")).await.body
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A server whose every word the test speaks itself.
pub struct Peer {
    listener: TcpListener,
}

impl Peer {
    pub async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub fn url(&self) -> ChannelUrl {
        format!("http://{}/c", self.listener.local_addr().unwrap()).parse().unwrap()
    }

    /// The next connection and the request line on it.
    pub async fn request(&self) -> (Wire, String) {
        self.request_within(PATIENCE).await
    }

    pub async fn request_within(&self, limit: Duration) -> (Wire, String) {
        let accepted = timeout(limit, self.listener.accept()).await;
        let mut wire = Wire { stream: BufReader::new(accepted.expect("a connection").unwrap().0) };
        let line = wire.request().await;
        (wire, line)
    }

    /// Whether nobody has connected since.
    pub fn is_left_alone(&self) -> bool {
        use std::task::{Context, Poll, Waker};
        matches!(self.listener.poll_accept(&mut Context::from_waker(Waker::noop())), Poll::Pending)
    }
}

pub fn client() -> Client {
    Client::new(ClientConfig::default()).unwrap()
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// The head of a publisher's request; `extra` is further header lines, each with its end.
pub fn chunked_post(path: &str, extra: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{extra}\r\n")
}

#[derive(Debug)]
pub struct Head {
    pub status: u16,
    pub reason: String,
    pub headers: HashMap<String, String>,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: Head,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }
}

/// A plain HTTP/1.1 connection.
pub struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    pub async fn open(addr: SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(addr).await.unwrap()) }
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// Whether the other end still takes it.
    pub async fn try_send(&mut self, text: &str) -> bool {
        soon(self.stream.get_mut().write_all(text.as_bytes())).await.is_ok()
    }

    /// Sends `request` behind a question that is answered at once: when the answer is here, the server has the request.
    pub async fn behind_next(mut self, channel: &str, request: &str) -> Self {
        self.send(&format!("{}{request}", get(&format!("/{channel}/next")))).await;
        assert_eq!(self.reply().await.status, 200);
        self
    }

    pub async fn send_chunk(&mut self, data: &str) {
        self.send(&format!("{:x}\r\n{data}\r\n", data.len())).await;
    }

    pub async fn finish(&mut self) -> Reply {
        self.send("0\r\n\r\n").await;
        self.reply().await
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(soon(self.stream.read_u8()).await.expect("a whole line"));
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).unwrap()
    }

    /// Method and path of a request, whose headers are read too.
    pub async fn request(&mut self) -> String {
        let line = self.line().await;
        while !self.line().await.is_empty() {}
        line.trim_end_matches(" HTTP/1.1").to_owned()
    }

    /// A whole reply; `headers` is header lines, each with its end.
    pub async fn answer(&mut self, status: u16, headers: &str) {
        self.send(&format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n{headers}\r\n")).await;
    }

    /// The head of a segment, whose chunks follow.
    pub async fn answer_segment(&mut self, seq: u64) {
        let head = format!("HTTP/1.1 200 OK\r\nLp-Trickle-Seq: {seq}\r\nTransfer-Encoding: chunked\r\n\r\n");
        self.send(&head).await;
    }

    pub async fn head(&mut self) -> Head {
        let first = self.line().await;
        let mut parts = first.splitn(3, ' ');
        assert_eq!(parts.next(), Some("HTTP/1.1"));
        let status = parts.next().unwrap().parse().unwrap();
        let reason = parts.next().unwrap_or_default().to_owned();
        let mut headers = HashMap::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        Head { status, reason, headers }
    }

    /// One chunk of a chunked body; `None` at its end.
    pub async fn chunk(&mut self) -> Option<String> {
        let size = usize::from_str_radix(&self.line().await, 16).unwrap();
        let data = self.exactly(size).await;
        assert_eq!(self.line().await, "");
        (size > 0).then_some(data)
    }

    async fn exactly(&mut self, size: usize) -> String {
        let mut data = vec![0; size];
        soon(self.stream.read_exact(&mut data)).await.unwrap();
        String::from_utf8(data).unwrap()
    }

    pub async fn reply(&mut self) -> Reply {
        let head = self.head().await;
        let body = self.body(&head).await;
        Reply { status: head.status, head, body }
    }

    pub async fn body(&mut self, head: &Head) -> String {
        if let Some(length) = head.header("content-length") {
            return self.exactly(length.parse().unwrap()).await;
        }
        let mut body = String::new();
        while let Some(chunk) = self.chunk().await {
            body.push_str(&chunk);
        }
        body
    }

    /// Whether the server closed the connection, and sent nothing before.
    pub async fn closes(&mut self) -> bool {
        matches!(soon(self.stream.read_u8()).await, Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof)
    }

    /// Whether nothing has arrived so far.
    pub fn is_silent(&self) -> bool {
        let nothing = self.stream.get_ref().try_read(&mut [0]);
        self.stream.buffer().is_empty()
            && matches!(nothing, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}
