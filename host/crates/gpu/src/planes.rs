//! Y′CbCr planes, as they go up and come down.

/// Three planes of 8 bits a sample, chroma halved both ways, of even sides.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Y, Cb and Cr, each with the bytes from one row to the next.
    pub planes: [(&'a [u8], usize); 3],
}

/// How planes lie in one buffer on the device: Y, Cb, Cr, with rows padded so that four samples of chroma are one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanesLayout {
    width: u32,
    height: u32,
}

impl PlanesLayout {
    /// Of a picture of these sides, both even.
    pub fn new(width: u32, height: u32) -> Self {
        debug_assert!(width.is_multiple_of(2) && height.is_multiple_of(2));
        Self { width, height }
    }

    /// Bytes from one row to the next, of luma and of chroma.
    pub fn strides(self) -> (usize, usize) {
        let luma = self.width.next_multiple_of(8) as usize;
        (luma, luma / 2)
    }

    /// Bytes of luma, and of one plane of chroma.
    pub(crate) fn sizes(self) -> (usize, usize) {
        let (luma, chroma) = self.strides();
        (luma * self.height as usize, chroma * self.height as usize / 2)
    }

    /// Bytes of all three planes.
    pub fn bytes(self) -> usize {
        let (luma, chroma) = self.sizes();
        luma + 2 * chroma
    }

    /// The three planes in a buffer's bytes.
    pub fn split(self, bytes: &[u8]) -> Planes<'_> {
        let (luma_size, chroma_size) = self.sizes();
        let (luma_stride, chroma_stride) = self.strides();
        let (luma, chroma) = bytes.split_at(luma_size);
        let (cb, cr) = chroma.split_at(chroma_size);
        let planes = [(luma, luma_stride), (cb, chroma_stride), (&cr[..chroma_size], chroma_stride)];
        Planes { width: self.width, height: self.height, planes }
    }

    pub(crate) fn split_mut(self, bytes: &mut [u8]) -> [&mut [u8]; 3] {
        let (luma_size, chroma_size) = self.sizes();
        let (luma, chroma) = bytes.split_at_mut(luma_size);
        let (cb, cr) = chroma.split_at_mut(chroma_size);
        [luma, cb, cr]
    }
}

impl Planes<'_> {
    pub(crate) fn layout(&self) -> PlanesLayout {
        PlanesLayout::new(self.width, self.height)
    }

    /// Hands out each row of the layout's buffer, with the place where it begins.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let layout = self.layout();
        let (luma_size, chroma_size) = layout.sizes();
        let (luma_stride, chroma_stride) = layout.strides();
        let (width, height) = (self.width as usize, self.height as usize);
        let places = [
            (0, luma_stride, width, height),
            (luma_size, chroma_stride, width / 2, height / 2),
            (luma_size + chroma_size, chroma_stride, width / 2, height / 2),
        ];
        self.planes.iter().zip(places).flat_map(|((plane, source), (start, stride, width, height))| {
            (0..height).map(move |row| (start + row * stride, &plane[row * source..][..width]))
        })
    }
}
