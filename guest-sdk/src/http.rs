//! Requests to services over HTTP, which no frame waits for: a request is sent during one frame, and its answer is taken during a
//! later one.
//!
//! A processor asks for it in [`CAPABILITIES`](crate::Processor::CAPABILITIES), and the operator grants hosts. Redirects are not
//! followed. A request takes 30 s at most, its body and its answer's 8 MiB each, and 8 may be under way at once.
//!
//! ```
//! use rillbox_sdk::http::{Pending, Request};
//! use rillbox_sdk::{NoParams, Processor, Result, VideoFrame, VideoOutcome, log};
//!
//! #[derive(Default)]
//! struct Ask {
//!     pending: Option<Pending>,
//! }
//!
//! impl Processor for Ask {
//!     type Params = NoParams;
//!     const CAPABILITIES: &'static [&'static str] = &["http:api.example.com"];
//!
//!     fn start(&mut self, _: NoParams) -> Result<()> {
//!         Ok(())
//!     }
//!
//!     fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
//!         match &mut self.pending {
//!             None => self.pending = Some(Request::get("https://api.example.com/v1").send()?),
//!             Some(pending) => {
//!                 if let Some(answer) = pending.poll() {
//!                     self.pending = None;
//!                     log::info!("the service says {}", answer?.status);
//!                 }
//!             }
//!         }
//!         Ok(VideoOutcome::Unchanged)
//!     }
//! }
//! ```

use crate::imports::http::Exchange;
use crate::{Error, Result};

/// What a request asks its server to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
}

/// A request that has not been sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "a request is not sent before `send` is called"]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// `http://HOST[:PORT][/PATH][?QUERY]`, or `https`.
    pub url: String,
    /// Names and values. `Host`, `Content-Length` and what is about the connection are not for these.
    pub headers: Vec<(String, String)>,
    /// Sent with its length, unless it is empty and the method has none.
    pub body: Vec<u8>,
}

/// An answer that is there whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Response {
    /// Such as 200; a redirect comes as what it is.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// All of it.
    pub body: Vec<u8>,
}

/// A request on its way. Dropped, it is ended.
#[must_use = "dropped, a request is ended"]
pub struct Pending(Option<Exchange>);

impl Request {
    /// A request without headers or a body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// A `POST`.
    pub fn post(url: impl Into<String>, body: Vec<u8>) -> Self {
        Self { body, ..Self::new(Method::Post, url) }
    }

    /// With a header more.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Begins to send it, and returns at once.
    ///
    /// # Errors
    /// The URL or a header is malformed, or the host does not let the processor call that host. Both may as well come with the
    /// answer.
    pub fn send(self) -> Result<Pending> {
        Exchange::begin(self).map(|exchange| Pending(Some(exchange)))
    }

    /// Scheme, authority, and path with query.
    pub(crate) fn parts(&self) -> Result<(&str, &str, &str)> {
        let malformed = || Error::msg(format!("{:?} is not http[s]://HOST[:PORT][/PATH][?QUERY]", self.url));
        let (scheme, rest) = self.url.split_once("://").ok_or_else(malformed)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.is_empty() || path.contains('#') || !matches!(scheme, "http" | "https") {
            return Err(malformed());
        }
        Ok((scheme, authority, path))
    }
}

impl Response {
    /// The first header of this name, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// Itself if the status is 2xx.
    ///
    /// # Errors
    /// The status, otherwise.
    pub fn ok(self) -> Result<Self> {
        match self.status {
            200..=299 => Ok(self),
            status => Err(Error::msg(format!("the service answered {status}"))),
        }
    }
}

impl Pending {
    /// Takes the request further without waiting: once in a frame is enough. `None` while there is no answer, and after it has been
    /// given.
    pub fn poll(&mut self) -> Option<Result<Response>> {
        let answer = self.0.as_mut()?.poll()?;
        self.0 = None;
        Some(answer)
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
