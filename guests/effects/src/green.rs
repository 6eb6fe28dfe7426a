//! Mirrors pictures from left to right and turns their colours towards green.

use rillbox_sdk::I420Mut;

use crate::tint::Tint;

/// A mirror of green glass.
#[derive(Default)]
pub struct Green(Tint);

impl Green {
    /// How far colours turn: 0 leaves them, 1 makes all of them green. 0.5 at first. Half a millisecond when it differs from
    /// the last.
    pub fn set_intensity(&mut self, intensity: f32) {
        self.0.set_intensity(intensity);
    }

    /// Works in place, so that a frame costs no memory but its own.
    pub fn paint(&self, planes: &mut I420Mut<'_>, width: u32) {
        for row in planes.y.chunks_exact_mut(width as usize) {
            row.reverse();
        }
        let rows = planes.cb.chunks_exact_mut(planes.chroma_width);
        for (cb, cr) in rows.zip(planes.cr.chunks_exact_mut(planes.chroma_width)) {
            cb.reverse();
            cr.reverse();
            self.0.apply(cb, cr);
        }
    }
}

#[cfg(test)]
mod tests {
    use rillbox_sdk::PixelFormat;

    use super::*;

    #[test]
    fn odd_sides_mirror_whole_rows_of_each_plane() {
        let (width, height) = (5, 3);
        let mut data: Vec<u8> = (0..PixelFormat::I420.bytes(width, height) as u8).collect();
        let mut green = Green::default();
        green.set_intensity(0.0);
        green.paint(&mut I420Mut::split(&mut data, width, height).unwrap(), width);
        assert_eq!(data[..15], [4, 3, 2, 1, 0, 9, 8, 7, 6, 5, 14, 13, 12, 11, 10]);
        assert_eq!(data[15..], [17, 16, 15, 20, 19, 18, 23, 22, 21, 26, 25, 24]);
    }
}
