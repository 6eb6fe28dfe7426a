//! Makes the requests that its params list, one after the other or all at once, and publishes what came of each.

use rillbox_sdk::http::{Method, Pending, Request, Response};
use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome, data};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    urls: Vec<String>,
    /// Bytes of each request's body; without any it is a `GET`.
    bytes: usize,
    /// Bytes of a header of each request.
    header: usize,
    /// All of them are made during the first frame.
    at_once: bool,
    /// The host's own work: where a redirect leads is asked for next.
    follow: bool,
}

/// What came of a request.
#[derive(Serialize)]
struct Outcome {
    url: String,
    status: u16,
    bytes: usize,
    error: String,
}

#[derive(Default)]
struct Caller {
    params: Params,
    waiting: Vec<String>,
    pending: Vec<(String, Pending)>,
}

impl Caller {
    fn send(&mut self, url: String) -> Result<()> {
        let method = if self.params.bytes > 0 { Method::Post } else { Method::Get };
        let mut request = Request::new(method, url.clone());
        request.body = vec![7; self.params.bytes];
        if self.params.header > 0 {
            request = request.header("x-long", "x".repeat(self.params.header));
        }
        match request.send() {
            Ok(pending) => self.pending.push((url, pending)),
            Err(error) => data::publish(&Outcome { url, status: 0, bytes: 0, error: error.to_string() })?,
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        for (url, mut pending) in std::mem::take(&mut self.pending) {
            match pending.poll() {
                None => self.pending.push((url, pending)),
                Some(Ok(Response { status, body, .. })) if !self.params.follow || status != 302 => {
                    data::publish(&Outcome { url, status, bytes: body.len(), error: String::new() })?;
                }
                Some(Ok(response)) => {
                    data::publish(&Outcome { url, status: response.status, bytes: 0, error: String::new() })?;
                    self.waiting.insert(0, response.header("location").unwrap_or_default().to_owned());
                }
                Some(Err(error)) => {
                    data::publish(&Outcome { url, status: 0, bytes: 0, error: error.to_string() })?;
                }
            }
        }
        Ok(())
    }
}

impl Processor for Caller {
    type Params = Params;
    const CAPABILITIES: &'static [&'static str] = &["http"];

    fn start(&mut self, params: Params) -> Result<()> {
        self.waiting.clone_from(&params.urls);
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        self.receive()?;
        while !self.waiting.is_empty() && (self.params.at_once || self.pending.is_empty()) {
            let url = self.waiting.remove(0);
            self.send(url)?;
        }
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Caller as "caller");
