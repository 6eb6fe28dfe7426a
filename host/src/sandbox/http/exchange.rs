//! One request and its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi_http::{Error, RequestOptions};

use super::body::{End, SizedBody};
use super::client::HttpClient;
use super::meter::{Flight, HttpMeter};
use super::{MAX_BODY, announced, at_most};
use crate::egress::{Policy, Target};

/// Name lookup, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(5);

/// From a connection to an answer's head, the request's body included.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// Silence within an answer.
const BETWEEN: Duration = Duration::from_secs(10);

/// All of it.
const TOTAL: Duration = Duration::from_secs(30);

/// Bytes of an answer's head, and read at once.
const BUFFER: usize = 64 << 10;

/// Headers of an answer.
const HEADERS: usize = 100;

/// How long a request's parts may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    connect: Duration,
    first_byte: Duration,
    between: Duration,
}

impl Times {
    /// What a guest asks for, where that is shorter than what it may have.
    pub fn of(options: Option<RequestOptions>) -> Self {
        let options = options.unwrap_or_default();
        Self {
            connect: at_most(options.connect_timeout, CONNECT),
            first_byte: at_most(options.first_byte_timeout, FIRST_BYTE),
            between: at_most(options.between_bytes_timeout, BETWEEN),
        }
    }
}

/// A request that may be made.
pub struct Exchange {
    pub client: HttpClient,
    pub granted: Policy,
    pub target: Target,
    pub request: Request<SizedBody>,
    pub times: Times,
    /// Given up when all is over.
    pub flight: Arc<Flight>,
    pub meter: Arc<HttpMeter>,
}

impl Exchange {
    /// Makes the request, and hands on the answer as it comes.
    pub async fn run(
        self,
        head: oneshot::Sender<Result<Response<End>, Error>>,
        pieces: mpsc::Sender<Result<Bytes, Error>>,
    ) {
        let Self { client, granted, target, request, times, flight, meter } = self;
        let deadline = Instant::now() + TOTAL;
        let is_head = *request.method() == Method::HEAD;
        let answered = async {
            let (answer, driver) = ask(&client, &granted, &target, request, times, (&flight, &meter)).await?;
            checked(answer, is_head).map(|answer| (answer, driver))
        };
        let (answer, _driver) = match timeout_at(deadline, answered).await.unwrap_or(Err(Error::ConnectionReadTimeout))
        {
            Ok(answered) => answered,
            Err(error) => {
                meter.failed.add(1);
                // Nobody waits for it any more.
                let _ = head.send(Err(error));
                return;
            }
        };
        let (parts, body) = answer.into_parts();
        let end = End::default();
        let _ = head.send(Ok(Response::from_parts(parts, end.clone())));
        match timeout_at(deadline, hand_on(body, &pieces, times.between, &meter)).await {
            Ok(Ok(())) => end.store(true, Ordering::Release),
            Ok(Err(error)) => {
                meter.failed.add(1);
                let _ = timeout_at(deadline, pieces.send(Err(error))).await;
            }
            Err(_elapsed) => meter.failed.add(1),
        }
    }
}

async fn ask(
    client: &HttpClient,
    granted: &Policy,
    target: &Target,
    request: Request<SizedBody>,
    times: Times,
    (flight, meter): (&Arc<Flight>, &HttpMeter),
) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), Error> {
    let deadline = Instant::now() + times.connect;
    let connected = timeout_at(deadline, client.connect(target, granted, flight, meter, deadline));
    let wire = connected.await.unwrap_or(Err(Error::ConnectionTimeout))?;
    let handshake = http1::Builder::new().max_buf_size(BUFFER).max_headers(HEADERS).handshake(TokioIo::new(wire));
    let (mut sender, connection) = handshake.await.map_err(|error| failure(&error))?;
    let driver = AbortOnDropHandle::new(tokio::spawn(async move {
        // Whoever waits for the answer gets the error too.
        let _ = connection.await;
    }));
    let answered = timeout_at(Instant::now() + times.first_byte, sender.send_request(request));
    let answer = answered.await.map_err(|_elapsed| Error::HttpResponseTimeout)?.map_err(|error| failure(&error))?;
    Ok((answer, driver))
}

/// An answer that is not already too much.
fn checked(answer: Response<Incoming>, is_head: bool) -> Result<Response<Incoming>, Error> {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::HttpUpgradeFailed);
    }
    if !is_head && announced(answer.headers()).is_some_and(|length| length > MAX_BODY) {
        return Err(Error::HttpResponseBodySize(Some(MAX_BODY)));
    }
    Ok(answer)
}

/// Hands on a body as fast as the guest takes it.
async fn hand_on(
    mut body: Incoming,
    pieces: &mpsc::Sender<Result<Bytes, Error>>,
    between: Duration,
    meter: &HttpMeter,
) -> Result<(), Error> {
    let mut left = MAX_BODY;
    while let Some(frame) =
        timeout_at(Instant::now() + between, body.frame()).await.map_err(|_elapsed| Error::ConnectionReadTimeout)?
    {
        // Trailers are of no use to anybody here.
        let Ok(piece) = frame.map_err(|error| failure(&error))?.into_data() else { continue };
        meter.bytes_received.add(piece.len() as u64);
        left = left.checked_sub(piece.len() as u64).ok_or(Error::HttpResponseBodySize(Some(MAX_BODY)))?;
        if pieces.send(Ok(piece)).await.is_err() {
            // The guest has let go of it.
            return Ok(());
        }
    }
    Ok(())
}

fn failure(error: &hyper::Error) -> Error {
    let own = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<Error>());
    match own {
        Some(Error::HttpRequestBodySize(limit)) => Error::HttpRequestBodySize(*limit),
        _ if error.is_parse_too_large() => Error::HttpResponseHeaderSectionSize(None),
        _ if error.is_incomplete_message() => Error::HttpResponseIncomplete,
        _ if error.is_closed() || error.is_canceled() => Error::ConnectionTerminated,
        _ => Error::HttpProtocolError,
    }
}
