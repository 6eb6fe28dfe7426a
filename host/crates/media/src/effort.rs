//! How much work is put into a picture: what can give way when a machine is too slow.

/// Work for each picture; decoding and encoding have one each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// As configured.
    #[default]
    Full,
    /// Less, and it shows a little. Encoding takes two thirds of `superfast`'s time, with about a sixth more bits at the same
    /// `crf`. Decoding H.264 and HEVC leaves the deblocking filter out, which is a fifth of it: edges of blocks show until the
    /// next key frame.
    Reduced,
}
