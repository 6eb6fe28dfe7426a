//! Tests of the whole: the real program, server, codecs and components, on loopback.

mod channels;
mod cli;
mod connections;
mod egress;
mod examples;
mod harness;
mod inputs;
mod live;
mod many;
mod misbehaving;
mod processors;
mod rest;
mod sound;
mod system;
mod tidy;
