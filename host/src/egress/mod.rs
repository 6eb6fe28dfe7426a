//! What may be connected to: one rule for requests that guests make and for channels of streams. Decides over names, addresses
//! and ports, and does nothing itself: no lookup, no socket.
//!
//! A [`Policy`] is asked twice for each connection. [`Policy::decide`] says whether the host is one that was granted, before
//! anything is looked up; [`Policy::addresses`] says which of its addresses may be connected to, and the caller connects to
//! these and to no others. Addresses that are not public are refused unless a [`Rule`] names them.
//!
//! [`Grants`] are the operator's rules for guests, [`Capability`] is what a component asks for, [`AllowedUrls`] are the operator's
//! rules for channels.

mod address;
mod allowed_urls;
mod capability;
mod grants;
mod host;
mod policy;
mod rule;

pub use allowed_urls::{AllowedUrls, ChannelRefused};
pub use capability::{Capability, CapabilityError, NotGranted, asked, check};
pub use grants::Grants;
pub use host::{Host, Target, TargetError};
pub use policy::{Policy, Refusal};
pub use rule::{Rule, RuleError};
