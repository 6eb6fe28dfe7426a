//! Pictures as tensors, and tensors as pictures.

use half::f16;

use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::elements;
use crate::simd::widest;
use crate::tensor::{Typed, bytes};
use crate::{Allowance, Cost, ElementType, Tensor};

/// Where the channels of a picture are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelOrder {
    /// Rows, columns, channels.
    Hwc,
    /// Channels, rows, columns.
    Chw,
}

/// The channels of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Luma.
    Gray,
}

/// How a picture becomes a tensor, and a tensor a picture: element = sample × scale + offset.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureLayout {
    /// What a pixel consists of.
    pub channels: Channels,
    /// Where they are.
    pub order: ChannelOrder,
    /// An axis of 1 before the others.
    pub batch: bool,
    /// `F32`, `F16` or `U8`.
    pub element: ElementType,
    /// One for all channels or one a channel, not 0; none is 1. `U8` takes none.
    pub scale: Vec<f32>,
    /// The same; none is 0.
    pub offset: Vec<f32>,
}

impl Channels {
    /// How many.
    pub const fn count(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Gray => 1,
        }
    }
}

impl PictureLayout {
    /// The shape of such a picture.
    pub fn shape(&self, width: usize, height: usize) -> Vec<usize> {
        let channels = self.channels.count();
        let picture = match self.order {
            ChannelOrder::Hwc => [height, width, channels],
            ChannelOrder::Chw => [channels, height, width],
        };
        [&[1][..usize::from(self.batch)], &picture].concat()
    }

    /// Scale and offset of each channel, or of all.
    fn factors(&self) -> Result<Vec<(f32, f32)>, Error> {
        let channels = self.channels.count();
        let given = [&self.scale, &self.offset];
        if self.element == ElementType::Boolean || matches!(self.element, ElementType::I32 | ElementType::I64) {
            return invalid(format!("a picture of {}", self.element));
        }
        if self.element == ElementType::U8 && given.iter().any(|numbers| !numbers.is_empty()) {
            return invalid("a picture of uint8 with a scale or an offset");
        }
        if given.iter().any(|numbers| ![0, 1, channels].contains(&numbers.len())) {
            return invalid(format!(
                "{} scales and {} offsets: one for all, or one for each of {channels} channels",
                self.scale.len(),
                self.offset.len()
            ));
        }
        if self.scale.iter().any(|scale| *scale == 0.0 || !scale.is_finite())
            || self.offset.iter().any(|offset| !offset.is_finite())
        {
            return invalid("a scale is finite and not 0, an offset is finite");
        }
        let number = |numbers: &[f32], at: usize, none| match numbers {
            [] => none,
            [one] => *one,
            each => each[at],
        };
        let factors = (0..channels).map(|at| (number(&self.scale, at, 1.0), number(&self.offset, at, 0.0)));
        let mut factors: Vec<_> = factors.collect();
        // Channels that are treated alike, and stay where they are, are one.
        if self.order == ChannelOrder::Hwc && factors.iter().all(|factor| *factor == factors[0]) {
            factors.truncate(1);
        }
        Ok(factors)
    }

    /// A tensor of interleaved samples, `width` × `height` × channels of them.
    pub fn tensor(
        &self,
        width: usize,
        height: usize,
        samples: &[u8],
        allowance: &mut dyn Allowance,
    ) -> Result<Tensor, Error> {
        let factors = self.factors()?;
        let shape = self.shape(width, height);
        let count = elements(&shape)?;
        if samples.len() != count {
            return invalid(format!("{} samples for {shape:?}", samples.len()));
        }
        allowance.admit(Cost::new(bytes(self.element, count), Work::Element, count as u64))?;
        Ok(match self.element {
            ElementType::U8 => {
                Tensor::of_elements(&shape, widest(|| self.arranged(samples, &factors, |sample, _| sample)))
            }
            ElementType::F16 => {
                let tables = factors.iter().map(|factor| table(*factor, f16::from_f32)).collect::<Vec<_>>();
                let tables: Vec<_> = tables.iter().collect();
                Tensor::of_elements(
                    &shape,
                    widest(|| self.arranged(samples, &tables, |sample, table| table[usize::from(sample)])),
                )
            }
            _ => {
                let element = |sample, (scale, offset)| f32::from(sample) * scale + offset;
                Tensor::of_elements(&shape, widest(|| self.arranged(samples, &factors, element)))
            }
        })
    }

    /// Elements of interleaved samples, in the layout's order, each by what its channel has in `by`.
    #[inline(always)]
    fn arranged<T: Copy, E: Typed>(&self, samples: &[u8], by: &[T], element: impl Fn(u8, T) -> E) -> Vec<E> {
        match (by, self.order) {
            ([one], _) => samples.iter().map(|sample| element(*sample, *one)).collect(),
            ([r, g, b], ChannelOrder::Hwc) => {
                let mut result = vec![E::zeroed(); samples.len()];
                let pixels = result.as_chunks_mut::<3>().0.iter_mut().zip(samples.as_chunks::<3>().0);
                pixels.for_each(|(to, pixel)| {
                    *to = [element(pixel[0], *r), element(pixel[1], *g), element(pixel[2], *b)]
                });
                result
            }
            _ => {
                let mut result = Vec::with_capacity(samples.len());
                for (channel, by) in by.iter().enumerate() {
                    result.extend(samples.as_chunks::<3>().0.iter().map(|pixel| element(pixel[channel], *by)));
                }
                result
            }
        }
    }

    /// Scale and offset of red, green and blue, or of luma, three times.
    pub fn each_factor(&self) -> Result<[(f32, f32); 3], Error> {
        let factors = self.factors()?;
        Ok(std::array::from_fn(|channel| factors[channel.min(factors.len() - 1)]))
    }

    /// Width and height of the picture that a tensor in this layout is.
    pub fn size(&self, tensor: &Tensor) -> Result<(usize, usize), Error> {
        let shape = tensor.shape().strip_prefix(&[1][..usize::from(self.batch)]).unwrap_or_default();
        let size = match (self.order, shape) {
            (ChannelOrder::Hwc, &[height, width, channels]) | (ChannelOrder::Chw, &[channels, height, width]) => {
                (channels == self.channels.count()).then_some((width, height))
            }
            _ => None,
        };
        let (Some((width, height)), true) = (size, tensor.element() == self.element) else {
            let wanted = if self.batch { "1, " } else { "" };
            let order = match self.order {
                ChannelOrder::Hwc => format!("h, w, {}", self.channels.count()),
                ChannelOrder::Chw => format!("{}, h, w", self.channels.count()),
            };
            return invalid(format!("{tensor:?} is no picture of {} as ({wanted}{order})", self.element));
        };
        Ok((width, height))
    }

    /// Interleaved samples of a tensor in this layout, and the picture's width and height.
    pub fn samples(&self, tensor: &Tensor, allowance: &mut dyn Allowance) -> Result<(usize, usize, Vec<u8>), Error> {
        let factors = self.factors()?;
        let (width, height) = self.size(tensor)?;
        if tensor.device().is_some() {
            return Err(Error::Away);
        }
        let count = tensor.len();
        allowance.admit(Cost::new(count as u64, Work::Element, 2 * count as u64))?;
        // Multiplied by what is worked out once.
        let inverse: Vec<(f32, f32)> = factors.iter().map(|(scale, offset)| (scale.recip(), -offset / scale)).collect();
        let sample = |value: f32, (scale, offset): (f32, f32)| (value * scale + offset + 0.5) as u8;
        let samples = match self.element {
            ElementType::U8 => widest(|| self.interleaved(tensor.elements::<u8>(), &inverse, |value, _| value)),
            ElementType::F16 => {
                widest(|| self.interleaved(tensor.elements::<f16>(), &inverse, |value, by| sample(value.to_f32(), by)))
            }
            _ => widest(|| self.interleaved(tensor.elements::<f32>(), &inverse, sample)),
        };
        Ok((width, height, samples))
    }

    #[inline(always)]
    fn interleaved<T: Copy, E: Typed>(&self, elements: &[E], by: &[T], sample: impl Fn(E, T) -> u8) -> Vec<u8> {
        match (by, self.order) {
            ([one], _) => elements.iter().map(|element| sample(*element, *one)).collect(),
            ([r, g, b], ChannelOrder::Hwc) => {
                let mut result = vec![0; elements.len()];
                let pixels = result.as_chunks_mut::<3>().0.iter_mut().zip(elements.as_chunks::<3>().0);
                pixels.for_each(|(to, pixel)| *to = [sample(pixel[0], *r), sample(pixel[1], *g), sample(pixel[2], *b)]);
                result
            }
            _ => {
                let mut result = vec![0; elements.len()];
                for (channel, plane) in elements.chunks_exact(elements.len() / by.len()).enumerate() {
                    let pixels = result.as_chunks_mut::<3>().0.iter_mut();
                    pixels.zip(plane).for_each(|(pixel, element)| pixel[channel] = sample(*element, by[channel]));
                }
                result
            }
        }
    }
}

/// What each sample becomes: half precision takes longer to make than to look up.
fn table<E: Copy>((scale, offset): (f32, f32), element: impl Fn(f32) -> E) -> [E; 256] {
    std::array::from_fn(|sample| element(sample as f32 * scale + offset))
}
