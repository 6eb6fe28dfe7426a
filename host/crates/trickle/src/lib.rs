//! Livepeer's trickle protocol: publisher, subscriber and embedded server. Bytes only; what is in them is not its affair.
mod changes;
mod headers;
mod seq;
mod server;
mod url;

pub use self::{
    seq::Seq,
    server::{Server, ServerConfig},
    url::{ChannelUrl, ChannelUrlError},
};
