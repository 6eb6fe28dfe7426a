//! Pictures to bytes and back, in the formats that guests read and write.
//!
//! RGB conversions use the picture's own matrix and range, with the crate `yuv`, whose results are within 1 of exact
//! arithmetic. A picture made from RGB takes the color it is told.

use yuv::{BufferStoreMut, YuvConversionMode, YuvPlanarImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};

use crate::frame::{Color, ColorMatrix, ColorRange, Picture, PictureError, PixelFormat, planes_mut};

/// The picture's bytes in `format`, rows not padded: [`PixelFormat::bytes`] of them.
pub fn read(picture: &Picture, format: PixelFormat) -> Vec<u8> {
    let mut bytes = vec![0; format.bytes(picture.width(), picture.height())];
    read_into(picture, format, &mut bytes);
    bytes
}

/// The same in the place of what is in `bytes`, of which nothing stays. Panics unless they are [`PixelFormat::bytes`].
pub fn read_into(picture: &Picture, format: PixelFormat, bytes: &mut [u8]) {
    let (width, height) = (picture.width(), picture.height());
    assert_eq!(bytes.len(), format.bytes(width, height), "{width}×{height} as {format:?}");
    if matches!(format, PixelFormat::Rgba8 | PixelFormat::Rgb8) {
        return rgb(picture, format, bytes);
    }
    let (width, height) = (width as usize, height as usize);
    let (luma, chroma) = bytes.split_at_mut(width * height);
    pack(picture.plane(0), width, luma);
    match format {
        PixelFormat::I420 => {
            let (cb, cr) = chroma.split_at_mut(width / 2 * (height / 2));
            pack(picture.plane(1), width / 2, cb);
            pack(picture.plane(2), width / 2, cr);
        }
        PixelFormat::Nv12 => interleave(picture.plane(1), picture.plane(2), width, chroma),
        _ => {}
    }
}

/// A picture of `width` × `height` from bytes in `format`.
pub fn write(
    format: PixelFormat,
    width: u32,
    height: u32,
    bytes: &[u8],
    color: Color,
) -> Result<Picture, PictureError> {
    let expected = format.bytes(width, height);
    let mut planes = Picture::allocate(width, height)?;
    if bytes.len() != expected {
        return Err(PictureError::Length { format, width, height, expected, given: bytes.len() });
    }
    let (w, h) = (width as usize, height as usize);
    let [luma, cb, cr] = planes_mut(&mut planes);
    let (first, rest) =
        bytes.split_at(if matches!(format, PixelFormat::Rgba8 | PixelFormat::Rgb8) { 0 } else { w * h });
    match format {
        PixelFormat::I420 => {
            let (second, third) = rest.split_at(w / 2 * (h / 2));
            unpack(first, w, luma);
            unpack(second, w / 2, cb);
            unpack(third, w / 2, cr);
        }
        PixelFormat::Nv12 => {
            unpack(first, w, luma);
            deinterleave(rest, w, cb, cr);
        }
        PixelFormat::Gray8 => {
            unpack(first, w, luma);
            cb.0.fill(128);
            cr.0.fill(128);
        }
        PixelFormat::Rgba8 | PixelFormat::Rgb8 => from_rgb(format, width, height, rest, color, [luma, cb, cr]),
    }
    Ok(Picture::from_frame(planes, color))
}

fn pack((plane, stride): (&[u8], usize), width: usize, bytes: &mut [u8]) {
    if stride == width {
        bytes.copy_from_slice(&plane[..bytes.len()]);
    } else {
        for (row, packed) in plane.chunks(stride).zip(bytes.chunks_exact_mut(width)) {
            packed.copy_from_slice(&row[..width]);
        }
    }
}

fn unpack(bytes: &[u8], width: usize, (plane, stride): (&mut [u8], usize)) {
    for (row, source) in plane.chunks_mut(stride).zip(bytes.chunks_exact(width)) {
        row[..width].copy_from_slice(source);
    }
}

fn interleave(cb: (&[u8], usize), cr: (&[u8], usize), width: usize, bytes: &mut [u8]) {
    let rows = cb.0.chunks(cb.1).zip(cr.0.chunks(cr.1)).zip(bytes.chunks_exact_mut(width));
    for ((cb, cr), packed) in rows {
        let (pairs, _) = packed.as_chunks_mut::<2>();
        for ((cb, cr), pair) in cb.iter().zip(cr).zip(pairs) {
            *pair = [*cb, *cr];
        }
    }
}

fn deinterleave(bytes: &[u8], width: usize, cb: (&mut [u8], usize), cr: (&mut [u8], usize)) {
    let rows = cb.0.chunks_mut(cb.1).zip(cr.0.chunks_mut(cr.1)).zip(bytes.chunks_exact(width));
    for ((cb, cr), source) in rows {
        let (pairs, _) = source.as_chunks::<2>();
        for ((cb, cr), pair) in cb.iter_mut().zip(cr).zip(pairs) {
            (*cb, *cr) = (pair[0], pair[1]);
        }
    }
}

fn rgb(picture: &Picture, format: PixelFormat, bytes: &mut [u8]) {
    let (width, height) = (picture.width(), picture.height());
    let [y, u, v] = [0, 1, 2].map(|index| picture.plane(index));
    let image = YuvPlanarImage {
        y_plane: y.0,
        y_stride: y.1 as u32,
        u_plane: u.0,
        u_stride: u.1 as u32,
        v_plane: v.0,
        v_stride: v.1 as u32,
        width,
        height,
    };
    let (range, matrix) = coefficients(picture.color());
    let converted = if format == PixelFormat::Rgba8 {
        yuv::yuv420_to_rgba(&image, bytes, width * 4, range, matrix)
    } else {
        yuv::yuv420_to_rgb(&image, bytes, width * 3, range, matrix)
    };
    debug_assert!(converted.is_ok(), "planes and bytes are sized by the picture itself");
    if converted.is_err() {
        bytes.fill(0);
    }
}

fn from_rgb(
    format: PixelFormat,
    width: u32,
    height: u32,
    bytes: &[u8],
    color: Color,
    [y, u, v]: [(&mut [u8], usize); 3],
) {
    let mut image = YuvPlanarImageMut {
        y_stride: y.1 as u32,
        y_plane: BufferStoreMut::Borrowed(y.0),
        u_stride: u.1 as u32,
        u_plane: BufferStoreMut::Borrowed(u.0),
        v_stride: v.1 as u32,
        v_plane: BufferStoreMut::Borrowed(v.0),
        width,
        height,
    };
    let (range, matrix) = coefficients(color);
    let mode = YuvConversionMode::Balanced;
    let converted = if format == PixelFormat::Rgba8 {
        yuv::rgba_to_yuv420(&mut image, bytes, width * 4, range, matrix, mode)
    } else {
        yuv::rgb_to_yuv420(&mut image, bytes, width * 3, range, matrix, mode)
    };
    debug_assert!(converted.is_ok(), "planes and bytes were sized together");
}

fn coefficients(color: Color) -> (YuvRange, YuvStandardMatrix) {
    let range = match color.range {
        ColorRange::Limited => YuvRange::Limited,
        ColorRange::Full => YuvRange::Full,
    };
    let matrix = match color.matrix {
        ColorMatrix::Bt601 => YuvStandardMatrix::Bt601,
        ColorMatrix::Bt709 => YuvStandardMatrix::Bt709,
        ColorMatrix::Bt2020 => YuvStandardMatrix::Bt2020,
    };
    (range, matrix)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOR: Color = Color { matrix: ColorMatrix::Bt709, range: ColorRange::Limited };

    fn ramp(format: PixelFormat, width: u32, height: u32) -> Vec<u8> {
        (0..format.bytes(width, height)).map(|i| (i * 7 % 256) as u8).collect()
    }

    /// Catches bytes of an earlier picture, which may be another's, in the place of this one's.
    #[test]
    fn nothing_stays_of_what_was_there_before() {
        let picture = |side| write(PixelFormat::I420, side, side, &ramp(PixelFormat::I420, side, side), COLOR).unwrap();
        for format in [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::Gray8, PixelFormat::Rgb8, PixelFormat::Rgba8]
        {
            let mut bytes = vec![0xee; format.bytes(66, 66)];
            read_into(&picture(66), format, &mut bytes);
            assert_eq!(bytes, read(&picture(66), format), "{format:?}");
        }
    }

    #[test]
    fn planar_formats_come_back_byte_for_byte() {
        for format in [PixelFormat::I420, PixelFormat::Nv12] {
            let bytes = ramp(format, 38, 22);
            let picture = write(format, 38, 22, &bytes, COLOR).unwrap();
            assert_eq!(read(&picture, format), bytes, "{format:?}");
        }
    }

    #[test]
    fn white_and_red_cross_to_planes_by_the_stated_matrix() {
        let white = write(PixelFormat::Rgba8, 4, 4, &[255; 64], COLOR).unwrap();
        assert_eq!(read(&white, PixelFormat::I420), [[235; 16].as_slice(), &[128; 8]].concat());
        let red = write(PixelFormat::Rgb8, 4, 4, &[255, 0, 0].repeat(16), COLOR).unwrap();
        let planes = read(&red, PixelFormat::I420);
        // BT.709, limited: Y = 16 + 219 × 0.2126 = 62.6, Cb = 128 − 224 × 0.1146 = 102.3, Cr = 240.
        for (sample, exact) in [(planes[0], 63_u8), (planes[16], 102), (planes[20], 240)] {
            assert!(exact.abs_diff(sample) <= 1, "{exact} came out as {sample}");
        }
    }

    #[test]
    fn rgba_survives_within_rounding() {
        let picture = write(PixelFormat::I420, 32, 32, &[100; 32 * 32 * 3 / 2], COLOR).unwrap();
        let again = write(PixelFormat::Rgba8, 32, 32, &read(&picture, PixelFormat::Rgba8), COLOR).unwrap();
        let (before, after) = (read(&picture, PixelFormat::I420), read(&again, PixelFormat::I420));
        assert!(before.iter().zip(&after).all(|(a, b)| a.abs_diff(*b) <= 2));
    }

    #[test]
    fn wrong_lengths_and_odd_sides_are_refused() {
        assert!(matches!(
            write(PixelFormat::I420, 4, 4, &[0; 23], COLOR),
            Err(PictureError::Length { expected: 24, .. })
        ));
        assert!(matches!(write(PixelFormat::I420, 3, 4, &[0; 18], COLOR), Err(PictureError::Size { .. })));
        assert!(matches!(write(PixelFormat::Gray8, 0, 0, &[], COLOR), Err(PictureError::Size { .. })));
    }
}
