//! Requests to replies: one place where every route is decided.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;

use super::{
    channels::{Channel, Channels, Refused},
    pages::check_origin,
    publish::{self, PublishLimits},
    reaper::Reaper,
    reply::{self, Reply, ReplyExt},
    route::{self, Route, RouteError},
    subscribe,
};
use crate::{headers, seq::Seq};

/// What every connection shares.
pub(crate) struct Service {
    pub(crate) channels: Channels,
    pub(crate) reaper: Reaper,
    pub(crate) base_path: String,
    pub(crate) autocreate: bool,
    pub(crate) limits: PublishLimits,
    pub(crate) write_stall: Duration,
    /// It listens for this machine alone, under these names beside the machine's own.
    pub(crate) names: Option<Vec<String>>,
}

impl Service {
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        if self.names.as_deref().is_some_and(|names| check_origin(&head.headers, &head.uri, names).is_err()) {
            return reply::error(
                StatusCode::FORBIDDEN,
                "Not for pages of other sites, nor under names that are not this machine's\n",
            )
            .closing();
        }
        match Route::parse(&self.base_path, head.uri.path(), &head.method) {
            Ok(Route::Channel { name }) => self.on_channel(&head.method, &name, &head.headers),
            Ok(Route::Next { name }) => self.next(&name),
            Ok(Route::Segment { name, index }) => match head.method {
                Method::GET | Method::HEAD => self.read(&name, &index).await,
                Method::POST => self.write(&name, &index, &head.headers, body).await,
                Method::DELETE => self.end_segment(&name, &index),
                _ => reply::method_not_allowed("DELETE, GET, HEAD, POST").closing(),
            },
            Err(RouteError::NotFound) => reply::unrouted(),
            Err(RouteError::BadName) => reply::error(StatusCode::BAD_REQUEST, "Invalid name\n").closing(),
        }
    }

    fn on_channel(&self, method: &Method, name: &str, headers: &HeaderMap) -> Reply {
        match *method {
            Method::POST | Method::DELETE if is_reserved(name) => reserved(),
            Method::POST => match self.obtain(name, headers.get(headers::EXPECT_CONTENT)) {
                Ok(_) => reply::ok(),
                Err(unavailable) => unavailable.reply(),
            },
            Method::DELETE if self.channels.remove(name) => reply::ok(),
            Method::DELETE => reply::error(StatusCode::BAD_REQUEST, "Invalid stream\n"),
            _ => reply::method_not_allowed("DELETE, POST"),
        }
    }

    /// The channel, made if this server makes them on demand.
    fn obtain(&self, name: &str, content_type: Option<&HeaderValue>) -> Result<Arc<Channel>, Unavailable> {
        if !self.autocreate {
            return self.channels.get(name).ok_or(Unavailable::Missing);
        }
        let unnamed = HeaderValue::from_static("application/octet-stream");
        let content_type = content_type.filter(|value| !value.is_empty()).unwrap_or(&unnamed);
        self.channels.get_or_create(name, content_type).map_err(Unavailable::Refused)
    }

    fn next(&self, name: &str) -> Reply {
        let Some(channel) = self.channels.get(name) else {
            return reply::no_stream();
        };
        let window = channel.window();
        let next = reply::next(window.latest());
        if window.is_closed() { next.terminated() } else { next }
    }

    async fn read(&self, name: &str, index: &str) -> Reply {
        match self.channels.get(name) {
            Some(channel) => subscribe::segment(&channel, index).await,
            None => reply::no_stream(),
        }
    }

    /// Refusals end the connection, since the body may go on for ever.
    async fn write(&self, name: &str, index: &str, headers: &HeaderMap, body: Incoming) -> Reply {
        if is_reserved(name) {
            return reserved();
        }
        if !self.autocreate && self.channels.get(name).is_none() {
            return reply::no_stream().closing();
        }
        let Some(index) = route::write_index(index) else {
            return reply::invalid_index().closing();
        };
        let channel = match self.obtain(name, headers.get(header::CONTENT_TYPE)) {
            Ok(channel) => channel,
            Err(unavailable) => return unavailable.reply().closing(),
        };
        let reset = headers.get(headers::RESET).is_some_and(|value| !value.is_empty());
        publish::segment(channel, index, reset, body, &self.reaper, self.limits).await
    }

    fn end_segment(&self, name: &str, index: &str) -> Reply {
        if is_reserved(name) {
            return reserved();
        }
        let Some(channel) = self.channels.get(name) else {
            return reply::no_stream();
        };
        let Some(number) = route::seq(index) else {
            return reply::invalid_index();
        };
        if Seq::new(number).is_some_and(|seq| channel.window().end_segment(seq)) {
            reply::ok()
        } else {
            reply::error(StatusCode::BAD_REQUEST, "Nonexistent segment\n")
        }
    }
}

/// Why there is no channel to write to.
enum Unavailable {
    Missing,
    Refused(Refused),
}

impl Unavailable {
    fn reply(&self) -> Reply {
        match self {
            Self::Missing => reply::no_stream(),
            Self::Refused(Refused::TooMany) => reply::error(StatusCode::SERVICE_UNAVAILABLE, "Too many streams\n"),
            Self::Refused(Refused::ShuttingDown) => reply::error(StatusCode::SERVICE_UNAVAILABLE, "Shutting down\n"),
        }
    }
}

/// Names that only the server itself writes.
fn is_reserved(name: &str) -> bool {
    name.starts_with('_')
}

fn reserved() -> Reply {
    reply::error(StatusCode::FORBIDDEN, "Read-only stream\n").closing()
}
