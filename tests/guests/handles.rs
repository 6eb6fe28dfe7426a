//! Keeps handles of WASI's own, of the kind that its params name, until there are no more.

use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome};
use schemars::JsonSchema;
use serde::Deserialize;

/// More than any instance may have.
#[cfg(target_family = "wasm")]
const MANY: usize = 2_000;

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Fields,
    Requests,
    Pollables,
    Bodies,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    kind: Kind,
}

#[derive(Default)]
struct Handles {
    kind: Kind,
}

impl Processor for Handles {
    type Params = Params;
    const CAPABILITIES: &'static [&'static str] = &["http"];

    fn start(&mut self, params: Params) -> Result<()> {
        self.kind = params.kind;
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        keep(self.kind);
        Ok(VideoOutcome::Withheld)
    }
}

#[cfg(target_family = "wasm")]
fn keep(kind: Kind) {
    use std::mem::forget;
    use wasip2::http::types::{Fields, OutgoingRequest};
    for _ in 0..MANY {
        match kind {
            Kind::Fields => forget(Fields::new()),
            Kind::Requests => forget(OutgoingRequest::new(Fields::new())),
            Kind::Bodies => written(),
            Kind::Pollables => forget(wasip2::clocks::monotonic_clock::subscribe_duration(u64::MAX)),
        }
    }
}

/// A request that is never sent, with as much of a body as may be written.
#[cfg(target_family = "wasm")]
fn written() {
    use wasip2::http::types::{Fields, OutgoingRequest};
    let request = OutgoingRequest::new(Fields::new());
    if let Ok(body) = request.body()
        && let Ok(stream) = body.write()
    {
        while let Ok(room @ 1..) = stream.check_write() {
            if stream.write(&vec![7; room as usize]).is_err() {
                break;
            }
        }
    }
    std::mem::forget(request);
}

#[cfg(not(target_family = "wasm"))]
fn keep(_: Kind) {}

rillbox_sdk::export!(Handles as "handles");
