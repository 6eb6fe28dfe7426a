//! Livepeer's trickle protocol: publisher, subscriber and embedded server. Bytes only; what is in them is not its affair.
//!
//! A channel is a sequence of numbered segments at one URL. A publisher `POST`s segment after segment, each as it is
//! produced; subscribers `GET` them while they arrive. A server keeps the last five.
//!
//! # Deviations
//! * A publisher that waits with an empty body gets no `100 Continue` every ten seconds: hyper's server cannot send
//!   interim replies unasked, and no client of the protocol needs them.
//! * Malformed HTTP is answered as hyper does it.
//! * Names are UTF-8 without control characters, at most 8 KiB; those that begin with `_` are read-only over HTTP.
//! * A publisher's numbers never move backwards, except when it resets or restarts more than a window behind.
//! * A segment whose publisher vanished ends after a grace time instead of never. One that comes back in time may go on, or say the
//!   segment again from its start: readers have it once.
//! * A publisher says a segment whose connection broke again from its start, as long as it is the newest and all of it is held,
//!   although some of it may have arrived: go-livepeer's server appends, so that its readers may have the beginning twice; given up,
//!   they would lack all that was still to come.

mod backoff;
mod changes;
mod client;
mod control;
mod headers;
mod lost;
mod publisher;
mod seq;
mod server;
mod socket;
mod subscriber;
mod url;

pub use self::{
    backoff::Backoff,
    client::{Authorities, Client, ClientConfig, ClientError, ConnectError, Guard, TransportError},
    control::{ControlError, create, delete, next_seq},
    publisher::{PublishError, Publisher, PublisherConfig, PublisherStats},
    server::{Elsewhere, Server, ServerConfig, check_origin},
    subscriber::{Segment, Start, SubscribeError, Subscriber},
    url::{ChannelUrl, ChannelUrlError},
};
