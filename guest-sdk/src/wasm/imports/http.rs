//! `wasi:http`: requests and answers as the host's resources. Those that others are made of are dropped after them.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, Method as WireMethod, OutgoingBody, OutgoingRequest,
    Scheme,
};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::http::{Method, Request, Response};
use crate::{Error, Result};

/// Bytes read in one call.
const PIECE: u64 = 64 << 10;

/// Bytes read in one poll, so that a frame's time is bounded.
const POLL: usize = 1 << 20;

/// A request on its way.
pub(crate) struct Exchange {
    /// Host and port, for errors.
    authority: String,
    upload: Option<Upload>,
    phase: Phase,
}

enum Phase {
    Asked { ready: Pollable, future: FutureIncomingResponse },
    Answered { stream: InputStream, _body: IncomingBody, response: Response },
}

struct Upload {
    stream: OutputStream,
    body: OutgoingBody,
    bytes: Vec<u8>,
    written: usize,
}

impl Exchange {
    pub(crate) fn begin(request: Request) -> Result<Self> {
        let (scheme, authority, path) = request.parts()?;
        let authority = authority.to_owned();
        let outgoing = OutgoingRequest::new(fields(&request)?);
        let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
        let malformed = |()| Error::msg(format!("{:?} is not a URL that can be asked for", request.url));
        outgoing.set_method(&method(request.method)).map_err(malformed)?;
        outgoing.set_scheme(Some(&scheme)).map_err(malformed)?;
        outgoing.set_authority(Some(&authority)).map_err(malformed)?;
        outgoing.set_path_with_query(Some(if path.is_empty() { "/" } else { path })).map_err(malformed)?;
        let upload = if request.body.is_empty() {
            None
        } else {
            let body = outgoing.body().map_err(malformed)?;
            let stream = body.write().map_err(malformed)?;
            Some(Upload { stream, body, bytes: request.body, written: 0 })
        };
        let future = handle(outgoing, None).map_err(|code| explain(&code, &authority))?;
        let phase = Phase::Asked { ready: future.subscribe(), future };
        let mut exchange = Self { authority, upload, phase };
        exchange.upload();
        Ok(exchange)
    }

    pub(crate) fn poll(&mut self) -> Option<Result<Response>> {
        self.upload();
        if let Phase::Asked { ready, future } = &self.phase {
            if !ready.ready() {
                return None;
            }
            match answered(future, &self.authority) {
                Ok(answered) => self.phase = answered,
                Err(error) => return Some(Err(error)),
            }
        }
        self.download()
    }

    /// Writes what the host takes now.
    fn upload(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        match upload.write() {
            Ok(false) => self.upload = Some(upload),
            Ok(true) => upload.finish(),
            // The answer says why.
            Err(_) => {}
        }
    }

    /// Reads what is there now.
    fn download(&mut self) -> Option<Result<Response>> {
        let Phase::Answered { stream, response, .. } = &mut self.phase else { return None };
        let enough = response.body.len() + POLL;
        while response.body.len() < enough {
            match stream.read(PIECE) {
                Ok(piece) if piece.is_empty() => return None,
                Ok(piece) => response.body.extend_from_slice(&piece),
                Err(StreamError::Closed) => return Some(Ok(std::mem::take(response))),
                Err(StreamError::LastOperationFailed(error)) => {
                    let authority = &self.authority;
                    let why = error.to_debug_string();
                    return Some(Err(Error::msg(format!("{authority}: the answer broke off: {why}"))));
                }
            }
        }
        None
    }
}

impl Upload {
    /// Whether all is written.
    fn write(&mut self) -> Result<bool, StreamError> {
        while self.written < self.bytes.len() {
            let room = usize::try_from(self.stream.check_write()?).unwrap_or(usize::MAX);
            if room == 0 {
                return Ok(false);
            }
            let end = self.bytes.len().min(self.written.saturating_add(room));
            self.stream.write(&self.bytes[self.written..end])?;
            self.written = end;
        }
        Ok(true)
    }

    fn finish(self) {
        drop(self.stream);
        // The answer says why where it fails.
        let _ = OutgoingBody::finish(self.body, None);
    }
}

fn answered(future: &FutureIncomingResponse, authority: &str) -> Result<Phase> {
    let lost = || Error::msg(format!("{authority}: the answer is lost"));
    let response = match future.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(explain(&code, authority)),
        Some(Err(())) | None => return Err(lost()),
    };
    let (status, headers) = (response.status(), response.headers().entries());
    let body = response.consume().map_err(|()| lost())?;
    let stream = body.stream().map_err(|()| lost())?;
    Ok(Phase::Answered { stream, _body: body, response: Response { status, headers, body: Vec::new() } })
}

fn fields(request: &Request) -> Result<Fields> {
    let named = |(name, value): &(String, String)| (name.clone(), value.clone().into_bytes());
    let mut entries: Vec<_> = request.headers.iter().map(named).collect();
    let has_body = matches!(request.method, Method::Post | Method::Put | Method::Patch);
    if has_body || !request.body.is_empty() {
        entries.push(("content-length".to_owned(), request.body.len().to_string().into_bytes()));
    }
    Fields::from_list(&entries).map_err(|error| Error::msg(format!("a header is not allowed: {error}")))
}

fn method(method: Method) -> WireMethod {
    match method {
        Method::Get => WireMethod::Get,
        Method::Head => WireMethod::Head,
        Method::Post => WireMethod::Post,
        Method::Put => WireMethod::Put,
        Method::Patch => WireMethod::Patch,
        Method::Delete => WireMethod::Delete,
        Method::Options => WireMethod::Options,
    }
}

fn explain(code: &ErrorCode, authority: &str) -> Error {
    let why = match code {
        ErrorCode::HttpRequestDenied => "the operator has not granted this host (--grant-http)".to_owned(),
        ErrorCode::DestinationIpProhibited => {
            "it leads to an address that is not public and that the operator has not granted (--grant-http)".to_owned()
        }
        ErrorCode::ConnectionLimitReached => "too many requests are under way".to_owned(),
        ErrorCode::ConnectionRefused => "the connection was refused".to_owned(),
        ErrorCode::ConnectionTimeout => "connecting took too long".to_owned(),
        ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionReadTimeout => "the answer took too long".to_owned(),
        ErrorCode::HttpRequestBodySize(_) => "the request's body is too large".to_owned(),
        ErrorCode::HttpResponseBodySize(_) => "the answer's body is too large".to_owned(),
        ErrorCode::DnsError(_) => "the host cannot be resolved".to_owned(),
        other => format!("{other:?}"),
    };
    Error::msg(format!("{authority}: {why}"))
}
