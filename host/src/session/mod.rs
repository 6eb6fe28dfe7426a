//! Live streams: each is a pipeline from a subscription to a publication, with a processor in the middle.
//!
//! ```text
//! subscribe → decode thread → processor task → encode thread → publish
//! ```
//!
//! Every arrow is a bounded channel. [`Streams`] knows the running ones by id; a [`stream`] owns everything that one needs and
//! takes it all down together; a [`pipeline`] is the part of it that does not know the network, and runs on files too. What a
//! stream tells and is told besides pictures and sound goes over [`channels`] of its own.

mod change;
mod channels;
mod frames;
mod happenings;
mod histogram;
mod host;
mod json;
mod live_params;
mod loading;
mod meters;
mod pace;
mod params;
mod pipeline;
mod places;
mod processor;
mod strain;
mod stream;
mod streams;
mod totals;

pub use crate::sandbox::{ByKind, Done, HttpMeter, Work};
pub use change::{ChangeRejected, ChangeRequest};
pub use channels::{ChannelMeters, ControlMeter, FeedMeter};
pub use histogram::Distribution;
pub use host::{Host, Prepared, StartRejected};
pub use json::check_values;
pub use live_params::{LiveParams, UpdateRejected};
pub use meters::{Condition, Event, Meters, Phase, Snapshot};
pub use params::{HostParams, Params, ParamsRejected};
pub use pipeline::{Pipeline, PipelineConfig, PipelineError, Source};
pub use processor::{Cast, Direction, NotTaken, Processor, Role, Sample, StartError};
pub use rillbox_trickle::ChannelUrl;
pub use stream::{StreamConfig, StreamTimes};
pub use streams::{Health, StartRequest, Stream, Streams, UnknownStream};
pub use totals::{COUNTS, Census, Count, Totals};
