//! Tests of the whole: the real program, server, codecs and components, on loopback.

mod cli;
mod examples;
mod harness;
mod live;
mod misbehaving;
mod processors;
mod rest;
mod sound;
mod system;
mod tidy;
