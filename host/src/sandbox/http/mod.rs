//! Requests that guests make: to whom, how large, how long, and how many. `imports/http.rs` is the guest's side of it.
//!
//! Every request is a task of its own on the runtime that drives sockets, so that guests' threads wait for none of them. It
//! ends with the handles that the guest has of it, and so with the instance at the latest.

mod body;
mod client;
mod exchange;
mod meter;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use self::body::{ReplyBody, SizedBody};
pub use self::client::{HttpClient, HttpClientError};
use self::exchange::{Exchange, Times};
use self::meter::Flight;
pub use self::meter::HttpMeter;
use crate::egress::{Policy, Target};

/// Bytes of a request's body, and of an answer's.
const MAX_BODY: u64 = 8 << 20;

/// Bytes of a request's URL and headers.
const MAX_HEAD: usize = 32 << 10;

/// Requests of one stream that are under way, their answers' bodies included.
const AT_ONCE: usize = 8;

/// Pieces of an answer that wait for the guest.
const PIECES: usize = 4;

/// What a guest may choose; the others turn connections into something else, or echo what it must not see.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// What one stream's processor may call. Its instances share it; a clone is one more reference.
#[derive(Clone)]
pub struct HttpAccess(Arc<Inner>);

struct Inner {
    /// `None` where nothing may be called.
    client: Option<HttpClient>,
    /// What the operator grants.
    granted: Policy,
    /// What the component asked for in its description.
    asked: Policy,
    slots: Arc<Semaphore>,
    meter: Arc<HttpMeter>,
}

/// An answer on its way.
type Reply = Result<Response<WasiBody>, Error>;

impl HttpAccess {
    /// Access to what is both granted and asked for, counted by `meter`.
    pub fn new(client: HttpClient, granted: Policy, asked: Policy, meter: Arc<HttpMeter>) -> Self {
        Self::from(Some(client), granted, asked, meter)
    }

    /// Access to nothing.
    pub fn none() -> Self {
        Self::from(None, Policy::default(), Policy::default(), Arc::default())
    }

    fn from(client: Option<HttpClient>, granted: Policy, asked: Policy, meter: Arc<HttpMeter>) -> Self {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        Self(Arc::new(Inner { client, granted, asked, slots, meter }))
    }

    /// What it has been used for.
    pub fn meter(&self) -> &Arc<HttpMeter> {
        &self.0.meter
    }

    /// Begins a request; dropping what comes of it ends it. What must not be is refused before anything is connected to.
    pub fn send(
        &self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> impl Future<Output = Reply> + Send + use<> {
        let begun = self.begin(request, Times::of(options));
        async move {
            let (head, body, task) = begun?;
            let head = head.await.map_err(|_| Error::ConnectionTerminated)??;
            let (parts, end) = head.into_parts();
            Ok(Response::from_parts(parts, ReplyBody::new(body, end, task).boxed_unsync()))
        }
    }

    fn begin(&self, request: Request<WasiBody>, times: Times) -> Result<Begun, Error> {
        let Inner { granted, meter, .. } = &*self.0;
        let (client, target) = self.allowed(&request)?;
        let flight = self.flight(client)?;
        meter.sent.add(1);
        let request = addressed(request, &target, meter.clone())?;
        let exchange = Exchange {
            client: client.clone(),
            granted: granted.clone(),
            target,
            request,
            times,
            flight,
            meter: meter.clone(),
        };
        let ((head, awaited), (pieces, body)) = (oneshot::channel(), mpsc::channel(PIECES));
        let task = client.runtime().spawn(exchange.run(head, pieces));
        Ok((awaited, body, AbortOnDropHandle::new(task)))
    }

    /// Where a request leads, if it may be made at all.
    fn allowed(&self, request: &Request<WasiBody>) -> Result<(&HttpClient, Target), Error> {
        let Inner { client, granted, asked, meter, .. } = &*self.0;
        let refuse = |why: String, error| {
            meter.refuse(why);
            error
        };
        if !METHODS.contains(request.method()) {
            return Err(refuse(
                format!("the method {} is not offered", request.method()),
                Error::HttpRequestMethodInvalid,
            ));
        }
        let uri = request.uri();
        let parts =
            [uri.authority().map(|authority| authority.as_str()), uri.path_and_query().map(|path| path.as_str())];
        let size = parts.into_iter().flatten().map(str::len).sum::<usize>() + bytes(request.headers());
        if size > MAX_HEAD {
            let error = Error::HttpRequestHeaderSectionSize(u32::try_from(size).ok());
            return Err(refuse(format!("URL and headers of {size} bytes are more than {MAX_HEAD}"), error));
        }
        if announced(request.headers()).is_some_and(|length| length > MAX_BODY) {
            let error = Error::HttpRequestBodySize(Some(MAX_BODY));
            return Err(refuse(format!("the request's body is larger than {MAX_BODY} bytes"), error));
        }
        let target = Target::of(request.uri())
            // What else the URL says may be secret.
            .map_err(|error| refuse(format!("a request's URL: {error}"), Error::HttpRequestUriInvalid))?;
        let denied = |why: String| refuse(why, Error::HttpRequestDenied);
        granted.decide(&target.host, target.port).map_err(|refusal| denied(refusal.to_string()))?;
        asked.decide(&target.host, target.port).map_err(|_| {
            denied(format!("{}: the processor does not ask for it in its description", target.authority()))
        })?;
        let client = client.as_ref().ok_or_else(|| denied("nothing may be called".to_owned()))?;
        Ok((client, target))
    }

    /// A place among the requests that are under way.
    fn flight(&self, client: &HttpClient) -> Result<Arc<Flight>, Error> {
        let Inner { slots, meter, .. } = &*self.0;
        let place = slots.clone().try_acquire_owned().ok().zip(client.place());
        let Some((own, shared)) = place else {
            meter.refuse(format!("more than {AT_ONCE} requests at once, or too many of all streams"));
            return Err(Error::ConnectionLimitReached);
        };
        Ok(Arc::new(Flight::new(meter.clone(), own, shared)))
    }
}

type Begun = (
    oneshot::Receiver<Result<Response<body::End>, Error>>,
    mpsc::Receiver<Result<bytes::Bytes, Error>>,
    AbortOnDropHandle<()>,
);

/// The request as it goes out: in origin form, to the host that was checked and no other.
fn addressed(request: Request<WasiBody>, target: &Target, meter: Arc<HttpMeter>) -> Result<Request<SizedBody>, Error> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    if !parts.uri.path().starts_with('/') {
        return Err(Error::HttpRequestUriInvalid);
    }
    let host = HeaderValue::from_str(&target.authority()).map_err(|_| Error::HttpRequestUriInvalid)?;
    parts.headers.insert(header::HOST, host);
    Ok(Request::from_parts(parts, SizedBody::new(body, MAX_BODY, meter)))
}

fn bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// The length that a message's head announces of its body.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The shorter of what a guest asks for and what there is.
fn at_most(asked: Option<Duration>, limit: Duration) -> Duration {
    asked.map_or(limit, |asked| asked.min(limit))
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use tokio::runtime::Handle;

    use super::*;

    fn policy(rules: &[&str]) -> Policy {
        Policy::new(rules.iter().map(|rule| rule.parse().unwrap()).collect())
    }

    fn access(granted: &[&str], asked: &[&str]) -> HttpAccess {
        HttpAccess::new(
            HttpClient::new(Handle::current(), &[]).unwrap(),
            policy(granted),
            policy(asked),
            Arc::default(),
        )
    }

    fn request(method: &str, url: &str) -> Request<WasiBody> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Request::builder().method(method).uri(url).body(body).unwrap()
    }

    #[tokio::test]
    async fn what_must_not_be_sent_is_refused_before_anything_is_looked_up() {
        let access = access(&["a.example:*", "10.0.0.1"], &["a.example:80", "*.b.example", "10.0.0.1"]);
        for (method, url) in [
            ("CONNECT", "http://a.example/"),
            ("TRACE", "http://a.example/"),
            ("BREW", "http://a.example/"),
            ("GET", "http://user:word@a.example/"),
            ("GET", "http://a.example:0/"),
            ("GET", "ftp://a.example/"),
            // Granted and not asked for, asked for and not granted, neither.
            ("GET", "http://a.example:8080/"),
            ("GET", "http://x.b.example/"),
            ("GET", "http://c.example/"),
            ("GET", "http://169.254.169.254/"),
        ] {
            assert!(access.send(request(method, url), None).await.is_err(), "{method} {url}");
        }
        assert_eq!((access.meter().refused.get(), access.meter().sent.get()), (10, 0));
        let none = HttpAccess::none().send(request("GET", "http://a.example/"), None).await;
        assert!(matches!(none, Err(Error::HttpRequestDenied)));
    }

    #[tokio::test]
    async fn a_request_goes_out_in_origin_form_to_the_host_that_was_checked() {
        let mut asked = request("POST", "http://A.example.:8080//b.example/x?y");
        asked.headers_mut().insert(header::HOST, HeaderValue::from_static("b.example"));
        let target = Target::of(asked.uri()).unwrap();
        let sent = addressed(asked, &target, Arc::default()).unwrap();
        assert_eq!(sent.uri().path_and_query().unwrap().as_str(), "//b.example/x?y");
        assert!(sent.uri().authority().is_none() && sent.uri().scheme().is_none());
        assert_eq!(sent.headers().get_all(header::HOST).iter().collect::<Vec<_>>(), ["a.example:8080"]);

        let mut all = request("OPTIONS", "http://a.example/");
        *all.uri_mut() = Uri::builder().scheme("http").authority("a.example").path_and_query("*").build().unwrap();
        assert!(addressed(all, &target, Arc::default()).is_err(), "it is for the whole of a server");
    }
}
