//! The protocol's rows, against a real server on a loopback port.
//!
//! Tests run on one thread with their server. A request is known to have reached it when it was pipelined behind one
//! that was answered, see `harness::Wire::behind_next`; no test sleeps to let something happen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod guard;
mod harness;
mod lifecycle;
mod publish;
mod publisher;
mod routes;
mod subscribe;
mod subscriber;
mod tls;
