//! MPEG-TS out: packets become bytes as they are written, and a segment can start at any of them.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use ffmpeg_next::{Dictionary, Packet, Rational, codec, ffi, format};

use crate::error::EncodeError;
use crate::{TICKS_PER_SECOND, WRAP};

/// A track keeps its PID when the other comes or goes.
const VIDEO_PID: i32 = 0x100;
const AUDIO_PID: i32 = 0x101;

/// One transport stream.
pub(crate) struct Muxer {
    context: format::context::Output,
    written: Receiver<Bytes>,
    video: Option<usize>,
    audio: Option<usize>,
    /// Ticks, a multiple of [`WRAP`], that keep times from being negative, for which FFmpeg has no clock reference.
    shift: Option<i64>,
}

/// Where libavformat writes to.
struct Sink(Sender<Bytes>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // The receiver lives as long as the muxer; after it, nobody wants the bytes.
        let _ = self.0.send(Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A stream whose tracks are not all known.
struct Tracks {
    context: format::context::Output,
    written: Receiver<Bytes>,
}

impl Tracks {
    fn new() -> Result<Self, EncodeError> {
        let (sender, written) = channel();
        let sink = format::context::StreamIo::from_write(Sink(sender)).map_err(starting())?;
        let context = format::output_to_stream(sink, None, Some("mpegts")).map_err(starting())?;
        Ok(Self { context, written })
    }

    /// Adds a track on a PID, or on the next free one.
    fn add(&mut self, parameters: codec::Parameters, pid: Option<i32>) -> Result<usize, EncodeError> {
        let mut stream = self.context.add_stream(codec::Id::None).map_err(starting())?;
        stream.set_parameters(parameters);
        stream.set_time_base(Rational(1, TICKS_PER_SECOND as i32));
        // SAFETY: the stream was just made; a tag of another container means nothing in this one.
        unsafe {
            (*(*stream.as_mut_ptr()).codecpar).codec_tag = 0;
            if let Some(pid) = pid {
                (*stream.as_mut_ptr()).id = pid;
            }
        }
        Ok(stream.index())
    }

    fn start(mut self, video: Option<usize>, audio: Option<usize>, version: u8) -> Result<Muxer, EncodeError> {
        self.context.write_header_with(options(version)).map_err(starting())?;
        Ok(Muxer { context: self.context, written: self.written, video, audio, shift: None })
    }
}

/// What an encoder says of its packets.
fn parameters(encoder: &codec::Context) -> Result<codec::Parameters, EncodeError> {
    let mut parameters = codec::Parameters::new();
    // SAFETY: both live, and what is copied is the parameters' own.
    match unsafe { ffi::avcodec_parameters_from_context(parameters.as_mut_ptr(), encoder.as_ptr()) } {
        code if code < 0 => Err(starting()(code.into())),
        _ => Ok(parameters),
    }
}

fn starting() -> impl FnOnce(ffmpeg_next::Error) -> EncodeError {
    EncodeError::run("starting MPEG-TS")
}

impl Muxer {
    /// Starts a stream with the tracks of these encoders; nothing is written before the first packet. One that takes the place
    /// of another has a `version` of its own: a reader takes tables of a version that it knows for the same.
    pub fn open(
        video: Option<&codec::Context>,
        audio: Option<&codec::Context>,
        version: u8,
    ) -> Result<Self, EncodeError> {
        let mut tracks = Tracks::new()?;
        let video = video.map(|encoder| tracks.add(parameters(encoder)?, Some(VIDEO_PID))).transpose()?;
        let audio = audio.map(|encoder| tracks.add(parameters(encoder)?, Some(AUDIO_PID))).transpose()?;
        tracks.start(video, audio, version)
    }

    /// Starts a stream that copies packets with these parameters.
    pub fn copy(streams: &[codec::Parameters]) -> Result<Self, EncodeError> {
        let mut tracks = Tracks::new()?;
        for parameters in streams {
            tracks.add(parameters.clone(), None)?;
        }
        tracks.start(None, None, 0)
    }

    pub fn has_audio(&self) -> bool {
        self.audio.is_some()
    }

    pub fn has_video(&self) -> bool {
        self.video.is_some()
    }

    /// Makes the next packet start with the tables, as a segment does.
    pub fn start_segment(&mut self) -> Result<(), EncodeError> {
        // SAFETY: the muxer's private options live as long as the context; names and values end with a 0.
        let code = unsafe {
            let private = (*self.context.as_mut_ptr()).priv_data;
            ffi::av_opt_set(private, c"mpegts_flags".as_ptr(), c"+resend_headers".as_ptr(), 0)
        };
        if code < 0 { Err(EncodeError::run("starting a segment")(code.into())) } else { Ok(()) }
    }

    /// Writes a packet of the video track at once, whatever the other track does.
    pub fn video(&mut self, packet: Packet) -> Result<(), EncodeError> {
        self.video.map_or(Ok(()), |index| self.write(packet, index))
    }

    /// Writes a packet of the audio track at once.
    pub fn audio(&mut self, packet: Packet) -> Result<(), EncodeError> {
        self.audio.map_or(Ok(()), |index| self.write(packet, index))
    }

    /// Writes a packet to the track of this index.
    pub fn write(&mut self, mut packet: Packet, index: usize) -> Result<(), EncodeError> {
        packet.set_stream(index);
        packet.set_position(-1);
        let first = packet.dts().or(packet.pts()).unwrap_or_default();
        let shift = *self.shift.get_or_insert_with(|| WRAP - first.div_euclid(WRAP) * WRAP);
        packet.set_pts(packet.pts().map(|pts| pts + shift));
        packet.set_dts(packet.dts().map(|dts| dts + shift));
        packet.write(&mut self.context).map_err(EncodeError::run("writing MPEG-TS")).map(drop)
    }

    /// Hands over the bytes written since the last call.
    pub fn drain(&mut self, emit: &mut dyn FnMut(Bytes)) {
        self.written.try_iter().for_each(emit);
    }

    /// Writes what is left of a PES packet that was held back.
    pub fn finish(&mut self) -> Result<(), EncodeError> {
        self.context.write_trailer().map_err(EncodeError::run("ending MPEG-TS"))
    }
}

fn options(version: u8) -> Dictionary<'static> {
    let mut options = Dictionary::new();
    options.set("tables_version", &(version % 32).to_string());
    for (key, value) in [
        ("flush_packets", "1"),
        ("mpegts_copyts", "1"),
        ("avoid_negative_ts", "disabled"),
        ("max_interleave_delta", "200000"),
        // An audio packet leaves at once, and a video packet says where it ends.
        ("pes_payload_size", "0"),
        ("omit_video_pes_length", "0"),
    ] {
        options.set(key, value);
    }
    options
}
