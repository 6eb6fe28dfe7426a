//! The listener: a limited number of connections, none of which may take its time.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::tls::{self, Spoken};
use crate::access::{Current, TlsConfig};

/// Bytes of a request's head at most; beyond it the answer is 431.
const MAX_HEAD: usize = 64 << 10;

/// Connections of one address at once, where that is not this machine's own: the rest is for others. A proxy has one address for
/// all of its clients.
const FROM_ONE: usize = 192;

/// How often it is said that an address has too many.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(10);

/// Pause after a connection could not be accepted, as when there are no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long, and how many bytes, a client may go on sending after an answer that ends the connection. Closing at once would
/// make its system throw that answer away unread: many clients send the whole of an upload before they read.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: u64 = 64 << 20;

/// What clients may take of the host.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait until one closes.
    pub connections: usize,
    /// Longest that a TLS handshake may take.
    pub handshake: Duration,
    /// Longest that a request's head may take, and that a connection may wait for the next request.
    pub head: Duration,
    /// Longest that a client may send nothing more of a body, or take nothing more of an answer.
    pub stall: Duration,
    /// Longest that a whole body may take.
    pub body: Duration,
    /// Bytes of bodies at once, of all requests together.
    pub bodies: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            connections: 256,
            handshake: 10 * second,
            head: 30 * second,
            stall: 30 * second,
            body: 600 * second,
            bodies: 128 << 20,
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Surface {
    router: Router,
    tls: Option<Current<TlsConfig>>,
    limits: Limits,
    stop: CancellationToken,
}

/// Answers, over TLS if it is given, until `stop`, and then what has been asked by then.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Current<TlsConfig>>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let surface = Surface { router, tls, limits, stop: stop.clone() };
    let places = Arc::new(Semaphore::new(limits.connections));
    let (mut connections, mut peers) = (JoinSet::new(), Peers::default());
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            // A connection that has ended is forgotten.
            Some(_) = connections.join_next() => {}
            (stream, peer, place) = accept(&listener, &places) => {
                let Some(own) = peers.admit(peer) else {
                    if told.is_none_or(|at| at.elapsed() >= REFUSAL_INTERVAL) {
                        told = Some(Instant::now());
                        tracing::warn!(%peer, "a connection is closed: this address has {FROM_ONE} already");
                    }
                    continue;
                };
                let connection = surface.clone().connection(stream);
                connections.spawn(async move {
                    connection.await;
                    drop((place, own));
                });
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, IpAddr, Option<OwnedSemaphorePermit>) {
    // Nobody closes the semaphore.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip().to_canonical(), place),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Who is connected, and how often.
#[derive(Default)]
struct Peers(HashMap<IpAddr, Arc<Semaphore>>);

impl Peers {
    /// A place for one more connection of this address, if it may have one.
    fn admit(&mut self, peer: IpAddr) -> Option<OwnedSemaphorePermit> {
        self.0.retain(|_, free| Arc::strong_count(free) > 1);
        let most = if peer.is_loopback() { Semaphore::MAX_PERMITS } else { FROM_ONE };
        let free = self.0.entry(network(peer)).or_insert_with(|| Arc::new(Semaphore::new(most)));
        free.clone().try_acquire_owned().ok()
    }
}

/// What belongs to one user: an IPv4 address, or 64 bits of IPv6 (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

impl Surface {
    async fn connection(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let Some(tls) = &self.tls else { return self.answer(self.timed(stream)).await };
        let spoken = async {
            let begins = tls::begins_with_tls(&stream, self.limits.handshake).await;
            tls::accept(self.timed(stream), begins, tls.get(), self.limits.handshake).await
        };
        // A host that goes down waits for nobody who has not asked yet.
        let spoken = tokio::select! {
            spoken = spoken => spoken,
            () = self.stop.cancelled() => return,
        };
        match spoken {
            Spoken::Tls(stream) => self.answer(stream).await,
            Spoken::Plain(stream) => linger(stream).await,
            Spoken::Nothing => {}
        }
    }

    /// Cut off when the client takes nothing for too long.
    fn timed(&self, stream: TcpStream) -> Pin<Box<TimeoutStream<TcpStream>>> {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.stall));
        Box::pin(stream)
    }

    /// Speaks HTTP until one side has enough.
    async fn answer(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let routes = TowerToHyperService::new(self.router.clone());
        // Pinned: a connection that is to hand its stream back must be movable.
        let service = service_fn(move |request| Box::pin(routes.call(request)));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let served = tokio::select! {
            served = poll_fn(|cx| connection.poll_without_shutdown(cx)) => served,
            () = self.stop.cancelled() => {
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|cx| connection.poll_without_shutdown(cx)).await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "connection failed");
        }
        linger(connection.into_parts().io.into_inner()).await;
    }
}

/// Says that nothing more comes, then listens for a moment until the client has closed too.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let (mut rest, mut nowhere) = (stream.take(LINGER_BYTES), tokio::io::sink());
    // Whoever still sends by then is cut off.
    let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut nowhere)).await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::Request;
    use axum::routing::{get, post};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::super::body::Bodies;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    const SHORT: Duration = Duration::from_millis(200);

    /// A server of one route that reads a body, one whose answer is large, and one that says that it waits, and waits.
    struct Served {
        address: SocketAddr,
        waits: Arc<Notify>,
        go: Arc<Notify>,
        stop: CancellationToken,
        task: JoinHandle<()>,
    }

    impl Served {
        async fn start(limits: Limits) -> Self {
            let (stop, bodies) = (CancellationToken::new(), Bodies::new(&limits));
            let (waits, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (says, until) = (waits.clone(), go.clone());
            let read = |request: Request| async move {
                let (head, body) = request.into_parts();
                bodies.read(&head.headers, body, 200 << 10).await
            };
            let wait = || async move {
                says.notify_one();
                until.notified().await;
            };
            let router = Router::new()
                .route("/", get(|| async { "here" }).post(read))
                .route("/large", get(|| async { vec![0; 64 << 20] }))
                .route("/wait", post(wait));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let task = tokio::spawn(serve(listener, None, router, limits, stop.clone()));
            Self { address, waits, go, stop, task }
        }

        async fn send(&self, request: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream
        }
    }

    /// Everything until the server closes.
    async fn rest(mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes").unwrap();
        String::from_utf8(bytes).unwrap()
    }

    async fn until(stream: &mut TcpStream, text: &str) {
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).ends_with(text) {
            assert!(timeout(PATIENCE, stream.read_buf(&mut bytes)).await.expect("an answer").unwrap() > 0);
        }
    }

    /// Catches connections that are held for nothing: a head that does not end, and silence before or after a request.
    #[tokio::test]
    async fn unfinished_heads_and_idle_connections_are_closed() {
        let served = Served::start(Limits { head: SHORT, ..Limits::default() }).await;
        for request in ["", "GET / HTTP/1.1\r\nHost: a\r\nX-"] {
            assert_eq!(rest(served.send(request).await).await, "");
        }
        let mut kept = served.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until(&mut kept, "here").await;
        assert_eq!(rest(kept).await, "");
    }

    /// Catches a body that may take for ever: by silence, or by a byte now and then.
    #[tokio::test]
    async fn bodies_that_take_too_long_are_408() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n";
        let served = Served::start(Limits { stall: SHORT, ..Limits::default() }).await;
        assert!(rest(served.send(head).await).await.starts_with("HTTP/1.1 408"));

        let served = Served::start(Limits { body: SHORT, ..Limits::default() }).await;
        let (mut reader, mut writer) = served.send(head).await.into_split();
        let drip = tokio::spawn(async move {
            while writer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        let mut status = [0; 12];
        timeout(PATIENCE, reader.read_exact(&mut status)).await.expect("an answer").unwrap();
        assert_eq!(status, *b"HTTP/1.1 408");
        drip.abort();
    }

    /// Everything until the server closes, and the time until then.
    async fn end(stream: &mut TcpStream) -> (String, u64) {
        let (mut bytes, began) = (Vec::new(), Instant::now());
        stream.read_to_end(&mut bytes).await.unwrap();
        (String::from_utf8(bytes).unwrap(), began.elapsed().as_secs())
    }

    /// Catches times of a running host that are not those that it is documented to have, and a body that is waited for
    /// without one.
    #[tokio::test(start_paused = true)]
    async fn a_host_waits_for_half_a_minute_and_lingers_for_five_seconds() {
        let served = Served::start(Limits { connections: 1, ..Limits::default() }).await;
        for request in ["", "GET / HTTP/1.1\r\nHost: a\r\nX-"] {
            assert_eq!(end(&mut served.send(request).await).await, (String::new(), 30), "{request}");
        }
        let (kept, seconds) = end(&mut served.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await).await;
        assert!(kept.ends_with("here") && seconds == 30, "{seconds} s: {kept}");

        let mut half = served.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\nx").await;
        let began = Instant::now();
        let (answer, seconds) = end(&mut half).await;
        assert!(answer.starts_with("HTTP/1.1 408") && seconds == 30, "{seconds} s: {answer}");
        // It has its place until then, whether it leaves or not.
        let mut next = served.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        next.read_exact(&mut [0; 12]).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 35);
        drop(half);
    }

    /// Catches bodies that together take more memory than they may, and memory that is not given back.
    #[tokio::test]
    async fn bodies_share_a_budget() {
        let served = Served::start(Limits { bodies: 64 << 10, ..Limits::default() }).await;
        let post = |length: usize| {
            let body = "x".repeat(length);
            format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        // The first 64 KiB of each do not count.
        let whole = 128 << 10;
        for (length, status) in [(whole, "200"), (whole + 1, "503"), (whole, "200")] {
            let answer = rest(served.send(&post(length)).await).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{length}: {answer}");
        }
    }

    /// Catches an answer that is lost because the client sends all of a refused body before it reads.
    #[tokio::test]
    async fn a_refusal_reaches_a_client_that_sends_first() {
        let served = Served::start(Limits::default()).await;
        let length = 33 << 20;
        let mut stream = served.send(&format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")).await;
        stream.write_all(&vec![b'x'; length]).await.unwrap();
        let answer = rest(stream).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }

    /// Catches more connections than allowed, and places that are not given back.
    #[tokio::test]
    async fn further_connections_wait_for_a_place() {
        let served = Served::start(Limits { connections: 1, ..Limits::default() }).await;
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut first = served.send(request).await;
        until(&mut first, "here").await;
        let mut second = served.send(request).await;
        first.write_all(request.as_bytes()).await.unwrap();
        until(&mut first, "here").await;
        assert!(second.try_read(&mut [0]).is_err(), "the second is answered while the first has the place");
        drop(first);
        until(&mut second, "here").await;
    }

    /// Catches a client that never reads and keeps its place, and an answer's memory, for ever.
    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut_off() {
        let served = Served::start(Limits { connections: 1, stall: SHORT, ..Limits::default() }).await;
        let deaf = served.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut next = served.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until(&mut next, "here").await;
        drop(deaf);
    }

    /// Catches a shutdown that cuts off what is being answered, or that an idle connection holds up.
    #[tokio::test]
    async fn what_was_asked_is_answered_before_the_end() {
        let served = Served::start(Limits::default()).await;
        let mut idle = served.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until(&mut idle, "here").await;
        let asked = served.send("POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
        served.waits.notified().await;
        served.stop.cancel();
        assert_eq!(rest(idle).await, "");
        served.go.notify_one();
        assert!(rest(asked).await.starts_with("HTTP/1.1 200"));
        timeout(PATIENCE, served.task).await.expect("the server ends").unwrap();
    }

    /// Catches one address that takes all connections, and one that is forgotten while it has some.
    #[test]
    fn one_address_does_not_have_all_connections() {
        let mut peers = Peers::default();
        let [one, other] = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap());
        let mut held: Vec<_> = (0..FROM_ONE).map(|_| peers.admit(one).unwrap()).collect();
        assert!(peers.admit(one).is_none());
        let neighbour = peers.admit(other).unwrap();
        held.pop();
        assert!(peers.admit(one).is_some(), "it has left a place");
        drop((held, neighbour));
        let own = "127.0.0.1".parse().unwrap();
        assert!((0..=FROM_ONE).map(|_| peers.admit(own)).all(|place| place.is_some()), "this machine's own");
        assert_eq!(network("2001:db8::2".parse().unwrap()), network(other));
    }
}
