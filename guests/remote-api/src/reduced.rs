//! Luma at an eighth of its sides, which is what goes to the service and comes back.

/// Samples on a side of the block that one reduced sample stands for.
const BLOCK: usize = 8;

/// A small gray picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    pub width: usize,
    pub height: usize,
    pub luma: Vec<u8>,
}

impl Reduced {
    /// The size of a picture of these sides once it is reduced.
    pub fn size(width: usize, height: usize) -> (usize, usize) {
        (width.div_ceil(BLOCK), height.div_ceil(BLOCK))
    }

    /// The means of a picture's blocks.
    pub fn of(luma: &[u8], width: usize) -> Self {
        let (reduced_width, reduced_height) = Self::size(width, luma.len() / width.max(1));
        let mut sums = vec![(0_u32, 0_u32); reduced_width * reduced_height];
        for (y, row) in luma.chunks_exact(width.max(1)).enumerate() {
            let sums = &mut sums[y / BLOCK * reduced_width..][..reduced_width];
            for (samples, sum) in row.chunks(BLOCK).zip(sums) {
                sum.0 += samples.iter().map(|&sample| u32::from(sample)).sum::<u32>();
                sum.1 += samples.len() as u32;
            }
        }
        let luma = sums.into_iter().map(|(sum, count)| (sum / count.max(1)) as u8).collect();
        Self { width: reduced_width, height: reduced_height, luma }
    }

    /// What a service answered for a picture of this size, if it is as long as it should be.
    pub fn answered(luma: Vec<u8>, (width, height): (usize, usize)) -> Option<Self> {
        (luma.len() == width * height).then_some(Self { width, height, luma })
    }

    /// Blends it over a picture: 0 leaves the picture, 1 shows this alone.
    pub fn blend(&self, luma: &mut [u8], width: usize, strength: f32) {
        let part = (strength.clamp(0.0, 1.0) * 256.0) as u16;
        // A row of this once at full width: what is done for each sample is then one multiplication, and many go at once.
        let mut wide = vec![0; width];
        for (rows, over) in luma.chunks_mut(width * BLOCK).zip(self.luma.chunks_exact(self.width)) {
            for (block, &over) in wide.chunks_mut(BLOCK).zip(over) {
                block.fill(u16::from(over) * part);
            }
            for row in rows.chunks_mut(width) {
                for (sample, &over) in row.iter_mut().zip(&wide) {
                    *sample = ((u16::from(*sample) * (256 - part) + over) >> 8) as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_that_do_not_divide_are_reduced_whole() {
        let luma: Vec<u8> = (0..9 * 20).map(|at| if at % 20 < 16 { 100 } else { 200 }).collect();
        let reduced = Reduced::of(&luma, 20);
        assert_eq!((reduced.width, reduced.height), (3, 2));
        assert_eq!(reduced.luma, [100, 100, 200, 100, 100, 200]);
    }

    #[test]
    fn a_blend_goes_from_the_picture_to_the_answer() {
        let over = Reduced::answered(vec![200; 6], (3, 2)).unwrap();
        for (strength, shown) in [(0.0, 100), (0.5, 150), (1.0, 200)] {
            let mut luma = vec![100; 20 * 9];
            over.blend(&mut luma, 20, strength);
            assert!(luma.iter().all(|&sample| sample == shown), "{strength}");
        }
        assert_eq!(Reduced::answered(vec![0; 5], (3, 2)), None);
    }
}
