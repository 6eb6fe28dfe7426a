//! FFmpeg's parsers: bytes that begin and end anywhere become packets of one frame each.

use ffmpeg_next::{codec, ffi};

use crate::Ticks;

/// A packet, with its time if it has one.
type Packet = (Option<Ticks>, Vec<u8>);

/// Bytes that FFmpeg may read beyond its input.
const PADDING: usize = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;

/// Size of a picture as its headers state it. Nothing is allocated by it, whatever it is.
pub(super) fn picture_size(id: codec::Id, unit: &[u8]) -> Option<(u32, u32)> {
    let mut parser = Parser::open(id)?;
    let mut context = codec::Context::new();
    let padded = [unit, &[0; PADDING][..]].concat();
    // SAFETY: the parser lives; it is told that what it gets is whole.
    unsafe { (*parser.0.as_ptr()).flags |= ffi::PARSER_FLAG_COMPLETE_FRAMES };
    parser.parse(&mut context, &padded, None);
    // SAFETY: as above, numbers are read.
    let (width, height) = unsafe { ((*parser.0.as_ptr()).width, (*parser.0.as_ptr()).height) };
    (width > 0 && height > 0).then_some((width as u32, height as u32))
}

/// FFmpeg's parser of a codec.
pub(super) struct Parser(std::ptr::NonNull<ffi::AVCodecParserContext>);

// SAFETY: a parser is owned by one decoder and touched by nobody else; FFmpeg ties it to no thread.
unsafe impl Send for Parser {}

impl Parser {
    pub fn open(id: codec::Id) -> Option<Self> {
        let id: ffi::AVCodecID = id.into();
        // SAFETY: takes a number and gives a parser or null.
        std::ptr::NonNull::new(unsafe { ffi::av_parser_init(id as i32) }).map(Self)
    }

    /// Splits a unit into packets; what is not whole yet stays inside. The unit's time is that of the first packet that
    /// begins in it.
    pub fn split(&mut self, context: &mut codec::Context, unit: &[u8], pts: Option<Ticks>) -> Vec<Packet> {
        let mut packets = Vec::new();
        let padded = [unit, &[0; PADDING][..]].concat();
        let mut at = 0;
        while at < unit.len() {
            let (used, found) = self.parse(context, &padded[at..], pts);
            let progress = used > 0 || found.is_some();
            packets.extend(found);
            if !progress {
                break;
            }
            at += used;
        }
        packets
    }

    /// The packet whose end only the end of everything tells.
    pub fn last(&mut self, context: &mut codec::Context) -> Option<Vec<u8>> {
        self.parse(context, &[0; PADDING], None).1.map(|(_, packet)| packet)
    }

    /// Takes bytes that are followed by [`PADDING`] more; gives how many were used and a packet that they completed, with its
    /// time if it has one. No bytes but the padding say that nothing follows.
    fn parse(&mut self, context: &mut codec::Context, padded: &[u8], pts: Option<Ticks>) -> (usize, Option<Packet>) {
        let length = padded.len() - PADDING;
        let (mut packet, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: the context and the parser live, the input is padded as FFmpeg asks, and what is given back points into the
        // input or the parser until the next call. The parser notes a time once, with the first bytes of a unit.
        unsafe {
            let used = ffi::av_parser_parse2(
                self.0.as_ptr(),
                context.as_mut_ptr(),
                &mut packet,
                &mut size,
                padded.as_ptr(),
                length as i32,
                pts.map_or(ffi::AV_NOPTS_VALUE, |pts| pts.0),
                ffi::AV_NOPTS_VALUE,
                0,
            );
            let time = (*self.0.as_ptr()).pts;
            let found = (size > 0).then(|| {
                let bytes = std::slice::from_raw_parts(packet, size as usize).to_vec();
                ((time != ffi::AV_NOPTS_VALUE).then_some(Ticks(time)), bytes)
            });
            (usize::try_from(used).map_or(length, |used| used.min(length)), found)
        }
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        // SAFETY: opened by `open` and closed once.
        unsafe { ffi::av_parser_close(self.0.as_ptr()) }
    }
}
