//! The state behind one Store: handles, limits, time, and what the guest sends out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::bindings::rillbox::processor::types::Error;
use super::engine::Engine;
use super::graphics::Graphics;
use super::imports::http::Http;
use super::imports::stdio::Stdio;
use super::instance::Identity;
use super::limits::{Budget, Limits, Refusals};
use super::rate::Rate;
use super::timer::CallTimer;
use super::work::Work;

/// Values and events beyond this many are refused until the stream has taken some.
const MAX_OUTPUT: usize = 256;

/// Random bytes that one call may ask for: nothing stops a guest while the host makes them.
const MAX_RANDOM: u64 = 64 << 10;

/// How often the data channel is flushed.
const DATA_FLUSH: Duration = Duration::from_millis(333);

/// What a guest sent besides frames.
#[derive(Clone, Debug, PartialEq)]
pub enum GuestOutput {
    /// A value for the data channel, as JSON in one line.
    Data(String),
    /// A monitoring event: its type and fields.
    Event(String, Map<String, Value>),
}

/// State of one instance.
pub struct Guest {
    pub table: ResourceTable,
    pub wasi: WasiCtx,
    pub http: Http,
    pub graphics: Graphics,
    pub budget: Budget,
    pub limits: Limits,
    pub stdio: Stdio,
    pub timer: CallTimer,
    pub started: Instant,
    /// Values and events since the stream last took them.
    pub output: VecDeque<GuestOutput>,
    /// Bytes that may be sent within one flush of the data channel.
    pub output_rate: Rate,
    /// What was refused to the guest and is counted nowhere else.
    pub refusals: Refusals,
    /// What the host has done for the guest, and is counted nowhere else.
    pub work: Work,
}

impl Guest {
    pub fn new(identity: &Identity, engine: &Engine) -> Self {
        let limits = engine.limits();
        let stdio = Stdio::new(identity, limits.log_rate);
        let user = format!("{} {}", identity.stream, identity.processor);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            table,
            wasi: empty_wasi(&stdio),
            http: Http::new(identity.http.clone()),
            graphics: Graphics::new(engine.gpu().clone(), user, engine.front().clone(), engine.shaders().clone()),
            budget: Budget::new(limits.memory),
            limits,
            stdio,
            timer: CallTimer::default(),
            started: identity.started,
            output: VecDeque::new(),
            // All of it fits into one array: a comma or bracket for each value is counted with it.
            output_rate: Rate::new(limits.data_flush.saturating_sub(2), DATA_FLUSH),
            refusals: Refusals::default(),
            work: Work::default(),
        }
    }

    /// Whether another value or event has room.
    pub fn has_room_for_output(&self) -> bool {
        self.output.len() < MAX_OUTPUT
    }

    /// Counts a handle that there was no room for.
    pub fn no_handle(&mut self) -> Error {
        self.refusals.handles += 1;
        Error::Limit(format!("no more than {} handles at a time", self.limits.handles))
    }

    /// What was refused since the last call of this.
    pub fn take_refusals(&mut self) -> Refusals {
        let counted = std::mem::take(&mut self.refusals);
        Refusals { memory: self.budget.take_refusals(), log_lines: self.stdio.take_refusals(), ..counted }
    }
}

/// WASI with nothing in it: no files, environment, arguments or sockets; what is printed goes to the log.
fn empty_wasi(stdio: &Stdio) -> WasiCtx {
    WasiCtxBuilder::new()
        .stdout(stdio.clone())
        .stderr(stdio.clone())
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(MAX_RANDOM)
        .build()
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
