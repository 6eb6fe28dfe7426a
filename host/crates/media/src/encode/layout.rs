//! Which channels go out for which come in.
//!
//! | in | Opus | AAC |
//! |---|---|---|
//! | mono, stereo, 3.0, 5.0, 5.1, 7.1 | the same | the same |
//! | quad | the same | stereo |
//! | 4.0 | stereo | the same |
//! | other layouts of 8 channels | 7.1 | 7.1 |
//! | 6.1, 7.0 and others of 7 channels | 5.1 | 5.1 |
//! | all others | stereo | stereo |
//!
//! A pair of channels at the sides and one at the back are taken for each other. What has no place of its own is mixed into its
//! neighbours by FFmpeg's matrix: a centre or surround at −3 dB into left and right, the low-frequency channel left out of stereo.

use ffmpeg_next::ChannelLayout;

use super::audio::AudioEncoding;

/// What an encoder is given, and how the source's channels are read for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layouts {
    /// The source's channels, in its order.
    pub source: ChannelLayout,
    /// The encoder's.
    pub target: ChannelLayout,
}

impl Layouts {
    /// For sound of this layout.
    pub fn of(source: ChannelLayout, encoding: AudioEncoding) -> Self {
        let like = at_the_back(source);
        let kept = match like {
            ChannelLayout::MONO
            | ChannelLayout::STEREO
            | ChannelLayout::SURROUND
            | ChannelLayout::_5POINT0_BACK
            | ChannelLayout::_5POINT1_BACK
            | ChannelLayout::_7POINT1 => true,
            ChannelLayout::QUAD => encoding == AudioEncoding::Opus,
            ChannelLayout::_4POINT0 => encoding == AudioEncoding::Aac,
            _ => false,
        };
        let target = match source.channels() {
            _ if kept => like,
            8 => ChannelLayout::_7POINT1,
            7 => ChannelLayout::_5POINT1_BACK,
            _ => ChannelLayout::STEREO,
        };
        Self { source: if kept { like } else { source }, target }
    }
}

/// The layout whose pair is at the back where this one's is at the sides: the names that Opus and AAC have for it.
fn at_the_back(layout: ChannelLayout) -> ChannelLayout {
    match layout {
        ChannelLayout::_2_2 => ChannelLayout::QUAD,
        ChannelLayout::_5POINT0 => ChannelLayout::_5POINT0_BACK,
        ChannelLayout::_5POINT1 => ChannelLayout::_5POINT1_BACK,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches surround sound that loses channels although the codec has them.
    #[test]
    fn six_channels_stay_six_wherever_the_pair_is() {
        for encoding in [AudioEncoding::Opus, AudioEncoding::Aac] {
            for source in [ChannelLayout::_5POINT1, ChannelLayout::_5POINT1_BACK] {
                let layouts = Layouts::of(source, encoding);
                assert_eq!(layouts.target, ChannelLayout::_5POINT1_BACK);
                assert_eq!(layouts.source, layouts.target, "nothing is mixed");
            }
        }
    }

    /// Catches a layout that is neither kept nor mixed.
    #[test]
    fn what_a_codec_has_no_place_for_is_mixed() {
        let opus = |source| Layouts::of(source, AudioEncoding::Opus).target;
        assert_eq!(opus(ChannelLayout::_6POINT1), ChannelLayout::_5POINT1_BACK);
        assert_eq!(opus(ChannelLayout::_7POINT1_WIDE), ChannelLayout::_7POINT1);
        assert_eq!(opus(ChannelLayout::_2POINT1), ChannelLayout::STEREO);
        assert_eq!(opus(ChannelLayout::_2_2), ChannelLayout::QUAD);
        assert_eq!(Layouts::of(ChannelLayout::QUAD, AudioEncoding::Aac).target, ChannelLayout::STEREO);
    }
}
