//! What operations take, beside native libraries that do the same: burn-flex on tensors of its own, `fast_image_resize` on planes, and
//! plain loops where neither has the operation. One thread. Prints JSON; times are milliseconds, the middle one of several rounds.
//!
//! `scripts/bench tensors` runs it, and holds its ratios against the goal.

use std::hint::black_box;
use std::time::{Duration, Instant};

use burn_backend::TensorData;
use burn_backend::ops::{ActivationOps, ConvOptions, FloatTensorOps, InterpolateMode, InterpolateOptions, ModuleOps};
use burn_flex::{Flex, FlexDevice, FlexTensor};
use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rillbox_compute::{
    Binary, ChannelOrder, Channels, Convolution, Cost, ElementType, Error, PictureLayout, Reduction, ResizeMethod,
    Tensor, Unary,
};

const ROUNDS: usize = 15;

/// Rows and columns.
const SIZES: [(usize, usize); 2] = [(512, 512), (1080, 1920)];

/// Remembers what the last operation was said to cost.
#[derive(Default)]
struct Noted(Duration);

impl rillbox_compute::Allowance for Noted {
    fn admit(&mut self, cost: Cost) -> Result<(), Error> {
        self.0 += cost.time;
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let sizes: Result<Vec<String>, Error> = SIZES
        .iter()
        .map(|&(rows, columns)| {
            let lines = Bench::new(rows, columns)?.run()?;
            Ok(format!("\"{columns}x{rows}\":{{{}}}", lines.join(",")))
        })
        .collect();
    println!("{{{},\"call\":{}}}", sizes?.join(","), call()?);
    Ok(())
}

/// What a call takes that has next to nothing to do, in microseconds.
fn call() -> Result<String, Error> {
    let one = Tensor::full(ElementType::F32, &[1], 1.0, &mut Noted::default())?;
    let took = timed(|| {
        for _ in 0..1_000 {
            black_box(one.binary(Binary::Add, &one, &mut Noted::default())?);
        }
        Ok(())
    })?;
    Ok(format!("{{\"us\":{:.3}}}", took.as_secs_f64() * 1e3))
}

/// A picture of one size: three channels of it, and one.
struct Bench {
    rows: usize,
    columns: usize,
    samples: Vec<u8>,
    values: Vec<f32>,
    shape: [usize; 3],
    tensor: Tensor,
}

impl Bench {
    fn new(rows: usize, columns: usize) -> Result<Self, Error> {
        let samples: Vec<u8> = (0..rows * columns * 3).map(|at| (at * 7_919 % 251) as u8).collect();
        let values: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 255.0).collect();
        let shape = [rows, columns, 3];
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = Tensor::from_bytes(ElementType::F32, &shape, &bytes, &mut Noted::default())?;
        Ok(Self { rows, columns, samples, values, shape, tensor })
    }

    fn run(&self) -> Result<Vec<String>, Error> {
        let own = &self.tensor;
        let flex = || of_flex(&self.shape, self.values.clone());
        let (left, right) = (flex(), flex());
        let planes = own.reshape(&[1, 3, self.rows as i32, self.columns as i32])?;
        let of_planes = of_flex(&[1, 3, self.rows, self.columns], self.values.clone());
        let weights = |count: usize| (0..count).map(|at| (at as f32).sin()).collect::<Vec<_>>();
        let kernel = of_flex(&[16, 3, 3, 3], weights(432));
        let own_kernel = of_values(&[16, 3, 3, 3], &weights(432))?;
        let (half, other) = ((self.rows / 2, self.columns / 2), own.clone());
        let mask = own.binary_scalar(Binary::Greater, 0.5, &mut Noted::default())?;
        let images = self.images();
        let side = 512;
        let square = weights(side * side);
        let (own_square, of_square) = (of_values(&[side, side], &square)?, of_flex(&[side, side], square));
        let layout = PictureLayout {
            channels: Channels::Rgb,
            order: ChannelOrder::Hwc,
            batch: false,
            element: ElementType::F32,
            scale: vec![1.0 / 255.0],
            offset: vec![],
        };
        type F = Flex;
        Ok(vec![
            line(
                "add",
                "burn-flex",
                |a| own.binary(Binary::Add, &other, a),
                || F::float_add(left.clone(), right.clone()),
            )?,
            line(
                "mul_scalar",
                "burn-flex",
                |a| own.binary_scalar(Binary::Mul, 1.5, a),
                || F::float_mul_scalar(left.clone(), 1.5.into()),
            )?,
            line(
                "clamp",
                "burn-flex",
                |a| own.clamp(0.2, 0.8, a),
                || F::float_clamp(left.clone(), 0.2.into(), 0.8.into()),
            )?,
            line("exp", "burn-flex", |a| own.unary(Unary::Exp, a), || F::float_exp(left.clone()))?,
            line(
                "sigmoid",
                "burn-flex",
                |a| own.unary(Unary::Sigmoid, a),
                || <F as ActivationOps<F>>::sigmoid(left.clone()),
            )?,
            line("sqrt", "burn-flex", |a| own.unary(Unary::Sqrt, a), || F::float_sqrt(left.clone()))?,
            line(
                "greater",
                "burn-flex",
                |a| own.binary_scalar(Binary::Greater, 0.5, a),
                || F::float_greater_elem(left.clone(), 0.5.into(), burn_backend::BoolDType::Native),
            )?,
            line(
                "choose",
                "plain loop",
                |a| mask.choose(own, &other, a),
                || {
                    let marks = mask.bytes().iter().zip(self.values.iter().zip(&self.values));
                    marks.map(|(mark, (yes, no))| if *mark == 1 { *yes } else { *no }).collect::<Vec<f32>>()
                },
            )?,
            line(
                "blend",
                "plain loop",
                |a| own.blend_scalar(&other, 0.3, a),
                || self.values.iter().zip(&self.values).map(|(x, y)| x + (y - x) * 0.3).collect::<Vec<f32>>(),
            )?,
            line(
                "color_matrix",
                "plain loop",
                |a| own.color_matrix(-1, &[0.3; 9], &[0.1; 3], a),
                || {
                    let pixels = self.values.as_chunks::<3>().0.iter();
                    let row = |[r, g, b]: &[f32; 3], x: f32| x * r + 0.3 * g + 0.2 * b + 0.1;
                    pixels.flat_map(|pixel| [row(pixel, 0.1), row(pixel, 0.2), row(pixel, 0.3)]).collect::<Vec<f32>>()
                },
            )?,
            line("sum", "burn-flex", |a| own.reduce(Reduction::Sum, &[], false, a), || F::float_sum(left.clone()))?,
            line(
                "max_of_rows",
                "burn-flex",
                |a| own.reduce(Reduction::Max, &[0], false, a),
                || F::float_max_dim(left.clone(), 0),
            )?,
            line(
                "transpose",
                "burn-flex",
                |a| own.transpose(&[2, 0, 1], a),
                || F::float_permute(left.clone(), &[2, 0, 1]).to_contiguous(),
            )?,
            line("softmax", "burn-flex", |a| own.softmax(-1, a), || <F as ActivationOps<F>>::softmax(left.clone(), 2))?,
            line(
                "matmul_512",
                "burn-flex",
                |a| own_square.matmul(&own_square, a),
                || F::float_matmul(of_square.clone(), of_square.clone()),
            )?,
            line(
                "conv2d_3_to_16",
                "burn-flex",
                |a| planes.conv2d(&own_kernel, None, Convolution { padding: [1, 1], ..Convolution::default() }, a),
                || {
                    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
                    <F as ModuleOps<F>>::conv2d(of_planes.clone(), kernel.clone(), None, options)
                },
            )?,
            line(
                "resize_bilinear_half",
                "fast_image_resize",
                |a| planes.resize(half.0, half.1, ResizeMethod::Bilinear, a),
                || resized(&images, half),
            )?,
            line(
                "resize_bicubic_half",
                "burn-flex",
                |a| planes.resize(half.0, half.1, ResizeMethod::Bicubic, a),
                || {
                    let options = InterpolateOptions::new(InterpolateMode::Bicubic).with_align_corners(false);
                    <F as ModuleOps<F>>::interpolate(of_planes.clone(), [half.0, half.1], options)
                },
            )?,
            line(
                "from_picture",
                "plain loop",
                |a| layout.tensor(self.columns, self.rows, &self.samples, a),
                || self.samples.iter().map(|sample| f32::from(*sample) * (1.0 / 255.0)).collect::<Vec<f32>>(),
            )?,
            line(
                "to_picture",
                "plain loop",
                |a| layout.samples(own, a),
                || self.values.iter().map(|value| (value * 255.0 + 0.5) as u8).collect::<Vec<u8>>(),
            )?,
        ])
    }

    /// The three planes as another library has them.
    fn images(&self) -> Vec<Image<'static>> {
        let image = |plane: &[f32]| {
            let bytes = plane.iter().flat_map(|value| value.to_le_bytes()).collect();
            Image::from_vec_u8(self.columns as u32, self.rows as u32, bytes, PixelType::F32).ok()
        };
        self.values.chunks(self.rows * self.columns).filter_map(image).collect()
    }
}

/// Planes of another size, by another library.
fn resized(planes: &[Image], (rows, columns): (usize, usize)) -> Vec<Image<'static>> {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear));
    let mut resizer = Resizer::new();
    let resized = planes.iter().filter_map(|plane| {
        let mut result = Image::new(columns as u32, rows as u32, PixelType::F32);
        resizer.resize(plane, &mut result, &options).ok().map(|()| result)
    });
    resized.collect()
}

fn of_flex(shape: &[usize], values: Vec<f32>) -> FlexTensor {
    Flex::float_from_data(TensorData::new(values, shape.to_vec()), &FlexDevice)
}

fn of_values(shape: &[usize], values: &[f32]) -> Result<Tensor, Error> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor::from_bytes(ElementType::F32, shape, &bytes, &mut Noted::default())
}

/// One operation and the same by another library, in turns.
fn line<T, R>(
    name: &str,
    library: &str,
    own: impl Fn(&mut Noted) -> Result<T, Error>,
    reference: impl Fn() -> R,
) -> Result<String, Error> {
    let mut noted = Noted::default();
    own(&mut noted)?;
    let own = timed(|| own(&mut Noted::default()))?;
    let other = timed(|| Ok(reference()))?;
    let [own, other, estimate] = [own, other, noted.0].map(|time| time.as_secs_f64() * 1e3);
    Ok(format!(
        "\"{name}\":{{\"ms\":{own:.3},\"{library}_ms\":{other:.3},\"ratio\":{:.2},\"estimate\":{:.2}}}",
        own / other,
        estimate / own
    ))
}

fn timed<T>(mut work: impl FnMut() -> Result<T, Error>) -> Result<Duration, Error> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        black_box(work()?);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[ROUNDS / 2])
}
