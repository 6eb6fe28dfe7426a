//! Tests of the whole: the real program, server, codecs and components, on loopback.

mod changes;
mod channels;
mod cli;
mod connections;
mod examples;
mod harness;
mod inputs;
mod limits;
mod live;
mod many;
mod misbehaving;
mod processors;
mod recovery;
mod rest;
mod sound;
mod system;
mod tidy;
