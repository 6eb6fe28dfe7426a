//! Reference pictures, computed here from the definition, and how far others are from them.

/// What `green` is to do with an I420 picture, in f64 from its definition.
pub fn green(picture: &[u8], width: usize, height: usize, intensity: f64) -> Vec<u8> {
    let (luma, chroma) = picture.split_at(width * height);
    let (cb, cr) = chroma.split_at(width / 2 * (height / 2));
    let flip = |plane: &[u8], width: usize| -> Vec<u8> {
        plane.chunks(width).flat_map(|row| row.iter().rev().copied()).collect()
    };
    let (cb, cr) = (flip(cb, width / 2), flip(cr, width / 2));
    let turned: Vec<(u8, u8)> = cb.iter().zip(&cr).map(|(cb, cr)| tint(*cb, *cr, intensity)).collect();
    let mut made = flip(luma, width);
    made.extend(turned.iter().map(|(cb, _)| *cb));
    made.extend(turned.iter().map(|(_, cr)| *cr));
    made
}

/// c' = clamp((1+i)·((1−i)·c + i·|c|·(−0.647, −0.762))).
fn tint(cb: u8, cr: u8, i: f64) -> (u8, u8) {
    let (u, v) = (f64::from(cb) - 128.0, f64::from(cr) - 128.0);
    let length = u.hypot(v);
    let turned =
        |c: f64, green: f64| ((1.0 + i) * ((1.0 - i) * c + i * length * green) + 128.0).round().clamp(0.0, 255.0);
    (turned(u, -0.647) as u8, turned(v, -0.762) as u8)
}

/// Peak signal-to-noise ratio of two pictures, in decibels over all their samples.
pub fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    let mean = squares / a.len() as f64;
    if mean == 0.0 { 99.0 } else { 10.0 * (255.0 * 255.0 / mean).log10() }
}

/// [`psnr`] of series of pictures: the mean of the squared errors of all.
pub fn mean_psnr(a: &[Vec<u8>], b: &[Vec<u8>]) -> f64 {
    assert_eq!(a.len(), b.len());
    psnr(&a.concat(), &b.concat())
}

/// Means of Cb and Cr of an I420 picture.
pub fn mean_chroma(picture: &[u8], width: usize, height: usize) -> (f64, f64) {
    let chroma = &picture[width * height..];
    let mean = |plane: &[u8]| plane.iter().map(|sample| f64::from(*sample)).sum::<f64>() / plane.len() as f64;
    let (cb, cr) = chroma.split_at(chroma.len() / 2);
    (mean(cb), mean(cr))
}

/// Mean luma of an I420 picture of limited range, from 0, black, to 1, white.
pub fn brightness(picture: &[u8], width: usize, height: usize) -> f64 {
    let luma = &picture[..width * height];
    let mean = luma.iter().map(|sample| f64::from(*sample)).sum::<f64>() / luma.len() as f64;
    ((mean - 16.0) / 219.0).clamp(0.0, 1.0)
}
