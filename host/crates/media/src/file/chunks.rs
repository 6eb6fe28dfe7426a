//! What a pass gives: bytes with the time at which they are due.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::START;
use crate::time::duration;
use crate::{Emit, Ticks};

/// Bytes of MPEG-TS out of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChunk {
    /// Media time since the file's start, by decoding time; passes before this one count.
    pub at: Duration,
    /// A segment begins with these bytes.
    pub cut: bool,
    /// Whole transport packets.
    pub bytes: Bytes,
}

/// Chunks that wait to be taken.
#[derive(Default)]
pub(super) struct Chunks {
    ready: VecDeque<FileChunk>,
    /// A segment begins with the next bytes.
    cut: bool,
}

impl Chunks {
    pub fn pop(&mut self) -> Option<FileChunk> {
        self.ready.pop_front()
    }

    /// Takes what came out at `now`, a decoding time as it is written.
    pub fn add(&mut self, now: Ticks, emitted: impl IntoIterator<Item = Emit>) {
        let at = duration(now - START);
        let mut pieces = Vec::new();
        for emit in emitted {
            match emit {
                Emit::Cut => {
                    self.join(at, &mut pieces);
                    self.cut = true;
                }
                Emit::Bytes(bytes) => pieces.push(bytes),
            }
        }
        self.join(at, &mut pieces);
    }

    /// One chunk a packet: FFmpeg's pieces are as large as its buffer.
    fn join(&mut self, at: Duration, pieces: &mut Vec<Bytes>) {
        let bytes = match pieces.len() {
            0 => return,
            1 => pieces.swap_remove(0),
            _ => Bytes::from(pieces.concat()),
        };
        pieces.clear();
        self.ready.push_back(FileChunk { at, cut: std::mem::take(&mut self.cut), bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_before_a_cut_stay_in_their_segment() {
        let bytes = |text: &'static str| Emit::Bytes(Bytes::from_static(text.as_bytes()));
        let mut chunks = Chunks::default();
        chunks.add(START + 45_000, [bytes("a"), bytes("b"), Emit::Cut, bytes("c")]);
        let half = Duration::from_millis(500);
        assert_eq!(chunks.pop(), Some(FileChunk { at: half, cut: false, bytes: Bytes::from_static(b"ab") }));
        assert_eq!(chunks.pop(), Some(FileChunk { at: half, cut: true, bytes: Bytes::from_static(b"c") }));
        assert_eq!(chunks.pop(), None);
    }

    #[test]
    fn a_cut_waits_for_its_bytes() {
        let mut chunks = Chunks::default();
        chunks.add(START, [Emit::Cut]);
        assert_eq!(chunks.pop(), None);
        chunks.add(START, [Emit::Bytes(Bytes::from_static(b"a"))]);
        assert!(chunks.pop().unwrap().cut);
    }
}
