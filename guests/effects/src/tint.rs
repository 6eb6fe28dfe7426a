//! The colour part: one table from each pair of chroma samples to its pair, computed when the intensity changes.
//!
//! With c = (Cb − 128, Cr − 128) and the intensity i, a pair becomes
//!
//! ```text
//! c' = (1 + i) · ((1 − i) · c + i · |c| · (−0.647, −0.762))
//! ```
//!
//! where |c| is the Euclidean length: as colourful as before, turned to the direction of green in BT.601, and livelier. 128
//! is added, the result rounded to the nearest integer and clamped to 0–255.

/// The unit vector of pure green's chroma in BT.601.
const GREEN: [f32; 2] = [-0.647, -0.762];

/// Turns chroma by the intensity that was set last, 0.5 at first.
pub struct Tint {
    intensity: f32,
    /// New `Cr · 256 + Cb` by `Cb · 256 + Cr`: 128 KiB, of which a picture uses few lines at a time.
    table: Box<[u16; 1 << 16]>,
}

impl Default for Tint {
    fn default() -> Self {
        Self { intensity: 0.5, table: table(0.5) }
    }
}

impl Tint {
    /// Sets the intensity, 0 to 1. Half a millisecond when it differs from the last.
    pub fn set_intensity(&mut self, intensity: f32) {
        if intensity != self.intensity {
            *self = Self { intensity, table: table(intensity) };
        }
    }

    /// Turns each pair of samples.
    pub fn apply(&self, cb: &mut [u8], cr: &mut [u8]) {
        // Eight at a time: of a plain loop the compiler makes one that gathers bytes in vectors, half as fast within a sandbox.
        let ((cb, cb_rest), (cr, cr_rest)) = (cb.as_chunks_mut::<8>(), cr.as_chunks_mut::<8>());
        for (cb, cr) in cb.iter_mut().zip(cr) {
            for (cb, cr) in cb.iter_mut().zip(cr) {
                self.turn(cb, cr);
            }
        }
        for (cb, cr) in cb_rest.iter_mut().zip(cr_rest) {
            self.turn(cb, cr);
        }
    }

    fn turn(&self, cb: &mut u8, cr: &mut u8) {
        [*cb, *cr] = self.table[usize::from(*cb) << 8 | usize::from(*cr)].to_le_bytes();
    }
}

fn table(intensity: f32) -> Box<[u16; 1 << 16]> {
    let mut table = Box::new([0; 1 << 16]);
    for (at, pair) in table.iter_mut().enumerate() {
        *pair = u16::from_le_bytes(turned([(at >> 8) as u8, at as u8], intensity));
    }
    table
}

fn turned(chroma: [u8; 2], intensity: f32) -> [u8; 2] {
    let [cb, cr] = chroma.map(|sample| f32::from(sample) - 128.0);
    let length = (cb * cb + cr * cr).sqrt();
    let turn = |sample: f32, green: f32| {
        let turned = (1.0 + intensity) * ((1.0 - intensity) * sample + intensity * length * green);
        // A cast cuts the fraction and clamps, so half of one more rounds.
        (turned + 128.5) as u8
    };
    [turn(cb, GREEN[0]), turn(cr, GREEN[1])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_follows_the_formula() {
        let mut tint = Tint::default();
        for intensity in [0.0, 0.25, 0.5, 1.0] {
            tint.set_intensity(intensity);
            for (cb, cr) in [(128, 128), (0, 0), (255, 255), (90, 240), (16, 129), (200, 40)] {
                let (mut new_cb, mut new_cr) = ([cb], [cr]);
                tint.apply(&mut new_cb, &mut new_cr);
                let (u, v, i) = (f64::from(cb) - 128.0, f64::from(cr) - 128.0, f64::from(intensity));
                let by = |c: f64, g: f64| {
                    let exact = (1.0 + i) * ((1.0 - i) * c + i * u.hypot(v) * g) + 128.0;
                    exact.clamp(0.0, 255.0)
                };
                assert!((f64::from(new_cb[0]) - by(u, -0.647)).abs() <= 0.5001, "Cb of {cb}, {cr}");
                assert!((f64::from(new_cr[0]) - by(v, -0.762)).abs() <= 0.5001, "Cr of {cb}, {cr}");
            }
        }
    }

    #[test]
    fn no_intensity_changes_no_pair() {
        let mut tint = Tint::default();
        tint.set_intensity(0.0);
        let (mut cb, mut cr): (Vec<u8>, Vec<u8>) =
            (0..=u16::MAX).map(|at| [(at >> 8) as u8, at as u8]).map(Into::into).unzip();
        let before = (cb.clone(), cr.clone());
        tint.apply(&mut cb, &mut cr);
        assert!((cb, cr) == before);
    }
}
