//! Tests of the whole: the real program, server, codecs and components, on loopback.

mod access;
mod changes;
mod channels;
mod cli;
mod connections;
mod egress;
mod examples;
mod harness;
mod inputs;
mod limits;
mod live;
mod many;
mod misbehaving;
mod neighbours;
mod processors;
mod recovery;
mod registry;
mod rest;
mod shaders;
mod sound;
mod system;
mod tensors;
mod tidy;
mod tls;
mod uploads;
mod versions;
