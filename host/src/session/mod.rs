//! Live streams: each is a pipeline from a subscription to a publication, with a processor in the middle.
//!
//! ```text
//! subscribe → decode thread → processor task → encode thread → publish
//! ```
//!
//! Every arrow is a bounded channel. [`Streams`] knows the running ones by id; a [`stream`] owns everything that one needs and
//! takes it all down together; a [`pipeline`] is the part of it that does not know the network, and runs on files too. What a
//! stream tells and is told besides pictures and sound goes over [`channels`] of its own.

mod causes;
mod change;
mod channel_check;
mod channel_urls;
mod channels;
mod condition;
mod effort_control;
mod entries;
mod event;
mod frames;
mod guest_meters;
mod histogram;
mod host;
mod live_params;
mod loading;
mod meters;
mod pace;
mod params;
mod pipeline;
mod processor;
mod stream;
mod streams;
mod timing;
mod totals;
mod window;

pub use crate::sandbox::{ByKind, Done, HttpMeter, Work};
pub use change::{ChangeRejected, ChangeRequest};
pub use channel_urls::ChannelUrls;
pub use channels::{ChannelMeters, ControlMeter, FeedMeter};
pub use condition::{Condition, Event, Life, Phase};
pub use histogram::Distribution;
pub use host::{Host, Prepared, StartRejected};
pub use live_params::{LiveParams, UpdateRejected};
pub use meters::{Meters, Snapshot};
pub use params::{HostParams, Params, ParamsRejected};
pub use pipeline::{Pipeline, PipelineConfig, PipelineError, Source};
pub use processor::{Candidate, Instances, LastFrames, NotTaken, Processor, StartError, SupervisorHandle};
pub use rillbox_trickle::ChannelUrl;
pub use stream::{StreamConfig, StreamTimes};
pub use streams::{Health, StartRequest, Stream, Streams, UnknownStream};
pub use timing::Timing;
pub use totals::{COUNTS, Count, StreamsSnapshot, Totals};
