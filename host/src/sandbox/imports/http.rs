//! `wasi:http`: requests to what the operator granted. The types are wasmtime's; who is called, and how, is ours.

use http::Request;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::sandbox::context::Guest;
use crate::sandbox::http::HttpAccess;

/// Bytes of one set of headers, with what they take in memory.
const MAX_FIELDS: usize = 64 << 10;

/// Bytes that a guest can write of a body before the network has taken some: two such pieces wait.
const MAX_PIECE: usize = 256 << 10;

/// Bodies of unsent requests hold what the guest wrote, uncounted. Beyond the first `UNSENT` of them, a piece has at most
/// `SMALL_PIECE` bytes.
const UNSENT: usize = 16;
const SMALL_PIECE: usize = 8 << 10;

/// The state of one instance.
pub struct Http {
    ctx: WasiHttpCtx,
    hooks: Hooks,
}

struct Hooks {
    access: HttpAccess,
    /// Bodies that were begun, less the requests that were sent.
    unsent: usize,
}

impl Http {
    pub fn new(access: HttpAccess) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(MAX_FIELDS);
        Self { ctx, hooks: Hooks { access, unsent: 0 } }
    }
}

/// Offers it to every component: one without a grant is refused each request.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.http.hooks, table: &mut self.table, ctx: &mut self.http.ctx }
    }
}

/// What is still under way when an answer's head is there: nothing of its own, since the body owns it.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _written: Rest,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Rest), Error>> + Send> {
        self.unsent = self.unsent.saturating_sub(1);
        let answer = self.access.send(request, options);
        Box::new(async move { Ok((answer.await?, Box::new(async { Ok(()) }) as Rest)) })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        self.unsent += 1;
        if self.unsent > UNSENT { SMALL_PIECE } else { MAX_PIECE }
    }
}
