//! Pixel formats to one another: slow, plain, and right to one step of 8 bits.

use super::Picture;
use crate::{Color, ColorMatrix, ColorRange, I420, PixelFormat};

/// The bytes of `picture` in `format`.
pub(super) fn to(picture: &Picture, format: PixelFormat) -> Vec<u8> {
    match format {
        _ if format == picture.format() => picture.data().to_vec(),
        PixelFormat::I420 => planes(picture),
        PixelFormat::Nv12 => interleave(picture, &planes(picture)),
        PixelFormat::Gray8 => {
            let mut data = planes(picture);
            data.truncate(PixelFormat::Gray8.bytes(picture.width(), picture.height()));
            data
        }
        PixelFormat::Rgb8 => rgb(picture).into_iter().flatten().collect(),
        PixelFormat::Rgba8 => rgb(picture).into_iter().flat_map(|[r, g, b]| [r, g, b, 255]).collect(),
    }
}

/// Red, green and blue of each pixel, row by row. A chroma sample stands for its whole block.
pub(super) fn rgb(picture: &Picture) -> Vec<[u8; 3]> {
    match picture.format() {
        PixelFormat::Rgb8 => picture.data().as_chunks().0.to_vec(),
        PixelFormat::Rgba8 => picture.data().as_chunks().0.iter().map(|&[r, g, b, _]| [r, g, b]).collect(),
        _ => {
            let data = planes(picture);
            let Some(i420) = I420::split(&data, picture.width(), picture.height()) else {
                unreachable!("planes() gives whole planes")
            };
            let scale = Scale::of(picture.color());
            let width = picture.width() as usize;
            let pixel = |(at, &luma): (usize, &u8)| {
                let chroma = at / width / 2 * i420.chroma_width + at % width / 2;
                scale.to_rgb(luma, i420.cb[chroma], i420.cr[chroma])
            };
            i420.y.iter().enumerate().map(pixel).collect()
        }
    }
}

/// The bytes of `picture` as I420.
fn planes(picture: &Picture) -> Vec<u8> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let luma = width * height;
    let data = picture.data();
    match picture.format() {
        PixelFormat::I420 => data.to_vec(),
        PixelFormat::Nv12 => {
            let (pairs, _) = data[luma..].as_chunks::<2>();
            let chroma = pairs.iter().map(|pair| pair[0]).chain(pairs.iter().map(|pair| pair[1]));
            data[..luma].iter().copied().chain(chroma).collect()
        }
        PixelFormat::Gray8 => {
            let mut planes = data.to_vec();
            planes.resize(PixelFormat::I420.bytes(picture.width(), picture.height()), 128);
            planes
        }
        PixelFormat::Rgb8 | PixelFormat::Rgba8 => planes_from_rgb(picture),
    }
}

fn planes_from_rgb(picture: &Picture) -> Vec<u8> {
    let scale = Scale::of(picture.color());
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let pixels = rgb(picture);
    let mut planes: Vec<u8> = pixels.iter().map(|&rgb| scale.luma(rgb)).collect();
    let blocks: Vec<[f32; 3]> = (0..height.div_ceil(2))
        .flat_map(|row| (0..width.div_ceil(2)).map(move |column| (2 * column, 2 * row)))
        .map(|(x, y)| block_mean(&pixels, width, x..(x + 2).min(width), y..(y + 2).min(height)))
        .collect();
    planes.extend(blocks.iter().map(|&mean| scale.chroma(mean).0));
    planes.extend(blocks.iter().map(|&mean| scale.chroma(mean).1));
    planes
}

fn block_mean(
    pixels: &[[u8; 3]],
    width: usize,
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
) -> [f32; 3] {
    let count = (columns.len() * rows.len()) as f32;
    let mut sum = [0.0; 3];
    for pixel in rows.flat_map(|y| &pixels[y * width + columns.start..y * width + columns.end]) {
        for (sum, &channel) in sum.iter_mut().zip(pixel) {
            *sum += f32::from(channel);
        }
    }
    sum.map(|sum| sum / count)
}

/// I420 to NV12.
fn interleave(picture: &Picture, planes: &[u8]) -> Vec<u8> {
    let (luma, chroma) = planes.split_at(PixelFormat::Gray8.bytes(picture.width(), picture.height()));
    let (cb, cr) = chroma.split_at(chroma.len() / 2);
    luma.iter().copied().chain(cb.iter().zip(cr).flat_map(|(&cb, &cr)| [cb, cr])).collect()
}

/// Between Y′CbCr as planes hold it and R′G′B′ of 0–255.
struct Scale {
    /// Weights of red and blue in luma; green has the rest.
    red: f32,
    blue: f32,
    /// Luma of black, and steps from black to white.
    black: f32,
    luma: f32,
    /// Steps from neutral chroma to its ends.
    chroma: f32,
}

impl Scale {
    fn of(color: Color) -> Self {
        let (red, blue) = match color.matrix {
            ColorMatrix::Bt601 => (0.299, 0.114),
            ColorMatrix::Bt709 => (0.2126, 0.0722),
            ColorMatrix::Bt2020 => (0.2627, 0.0593),
        };
        let (black, luma, chroma) = match color.range {
            ColorRange::Limited => (16.0, 219.0, 112.0),
            ColorRange::Full => (0.0, 255.0, 127.5),
        };
        Self { red, blue, black, luma, chroma }
    }

    /// Luma of 0–255 before it is fitted into the range.
    fn weigh(&self, [r, g, b]: [f32; 3]) -> f32 {
        self.red * r + (1.0 - self.red - self.blue) * g + self.blue * b
    }

    fn luma(&self, rgb: [u8; 3]) -> u8 {
        byte(self.black + self.weigh(rgb.map(f32::from)) / 255.0 * self.luma)
    }

    fn chroma(&self, rgb: [f32; 3]) -> (u8, u8) {
        let luma = self.weigh(rgb);
        let difference =
            |channel: f32, weight: f32| byte(128.0 + (channel - luma) / (1.0 - weight) / 255.0 * self.chroma);
        (difference(rgb[2], self.blue), difference(rgb[0], self.red))
    }

    fn to_rgb(&self, luma: u8, cb: u8, cr: u8) -> [u8; 3] {
        let luma = (f32::from(luma) - self.black) / self.luma * 255.0;
        let difference = |chroma: u8, weight: f32| (f32::from(chroma) - 128.0) / self.chroma * 255.0 * (1.0 - weight);
        let red = luma + difference(cr, self.red);
        let blue = luma + difference(cb, self.blue);
        let green = (luma - self.red * red - self.blue * blue) / (1.0 - self.red - self.blue);
        [red, green, blue].map(byte)
    }
}

fn byte(value: f32) -> u8 {
    value.round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [PixelFormat; 4] = [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::Rgba8, PixelFormat::Rgb8];

    #[test]
    fn known_colours_have_their_known_planes() {
        let planes = |rgb, matrix| {
            let color = Color { matrix, range: ColorRange::Limited };
            let picture = Picture::solid(PixelFormat::Rgb8, 2, 2, rgb).with_color(color);
            let data = picture.to(PixelFormat::I420).data().to_vec();
            [data[0], data[4], data[5]]
        };
        assert_eq!(planes([255, 255, 255], ColorMatrix::Bt601), [235, 128, 128]);
        assert_eq!(planes([0, 0, 0], ColorMatrix::Bt709), [16, 128, 128]);
        assert_eq!(planes([255, 0, 0], ColorMatrix::Bt601), [81, 90, 240]);
        assert_eq!(planes([0, 255, 0], ColorMatrix::Bt601), [145, 54, 34]);
        assert_eq!(planes([255, 0, 0], ColorMatrix::Bt709), [63, 102, 240]);
    }

    #[test]
    fn every_pair_of_formats_keeps_a_colour() {
        for from in FORMATS {
            for to in FORMATS {
                let there = Picture::solid(from, 5, 3, [40, 180, 90]).to(to);
                assert_eq!(there.data().len(), to.bytes(5, 3), "{from:?} to {to:?}");
                let off = there.pixel(4, 2).iter().zip([40, 180, 90]).map(|(a, b)| a.abs_diff(b)).max();
                assert!(off <= Some(2), "{from:?} to {to:?}: {:?}", there.pixel(4, 2));
            }
        }
    }

    #[test]
    fn gray_is_luma_and_shows_without_colour() {
        let gray = Picture::gradient(PixelFormat::I420, 6, 4).to(PixelFormat::Gray8);
        assert_eq!(gray.data(), &Picture::gradient(PixelFormat::I420, 6, 4).data()[..24]);
        let [r, g, b] = gray.pixel(5, 0);
        assert!(r == g && g == b);
    }

    #[test]
    fn planes_are_relaid_without_loss() {
        let data: Vec<u8> = (0..PixelFormat::I420.bytes(5, 3)).map(|at| at as u8 * 7).collect();
        let i420 = Picture::from_bytes(PixelFormat::I420, 5, 3, data);
        assert_eq!(i420.to(PixelFormat::Nv12).to(PixelFormat::I420), i420);
        assert_eq!(
            i420.to(PixelFormat::Nv12).data()[15..19],
            [i420.data()[15], i420.data()[21], i420.data()[16], i420.data()[22]]
        );
    }
}
