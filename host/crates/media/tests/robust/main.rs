//! What live sources do and what the network does to them, straight through [`Input`] and [`Output`]: which pictures and which
//! sound come out, when, and what is counted. Sources are made with the `ffmpeg` program, which also judges what comes out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod codecs;
mod damage;
mod effort;
mod formats;
mod made;
mod played;
mod sound;
mod times;
