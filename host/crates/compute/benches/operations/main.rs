//! What every operation takes, beside native libraries that do the same: burn-flex on tensors of its own, `fast_image_resize` on planes,
//! and plain loops where neither has the operation. One thread. Prints JSON; times are milliseconds, the middle one of several rounds.
//!
//! `scripts/bench tensors` runs it, and holds its ratios against the goal.

mod elementwise;
mod layout;
mod reductions;
mod table;
mod windows;

use std::hint::black_box;

use burn_backend::TensorData;
use burn_backend::ops::FloatTensorOps;
use burn_flex::{Flex, FlexDevice, FlexTensor};
use rillbox_compute::{Binary, ElementType, Error, Tensor, Unlimited};

use crate::table::{Table, timed};

/// Rows and columns.
const SIZES: [(usize, usize); 2] = [(512, 512), (1080, 1920)];

fn main() -> Result<(), Error> {
    let mut sizes = Vec::new();
    for (rows, columns) in SIZES {
        let (picture, mut table) = (Picture::new(rows, columns)?, Table::default());
        elementwise::measure(&picture, &mut table)?;
        reductions::measure(&picture, &mut table)?;
        layout::measure(&picture, &mut table)?;
        windows::measure(&picture, &mut table)?;
        sizes.push(format!("\"{columns}x{rows}\":{table}"));
    }
    println!("{{{},\"call\":{}}}", sizes.join(","), call()?);
    Ok(())
}

/// What a call takes that has next to nothing to do, in microseconds.
fn call() -> Result<String, Error> {
    let one = Tensor::full(ElementType::F32, &[1], 1.0, &mut Unlimited)?;
    let took = timed(|| {
        for _ in 0..1_000 {
            black_box(one.binary(Binary::Add, &one, &mut Unlimited)?);
        }
        Ok(())
    })?;
    Ok(format!("{{\"us\":{:.3}}}", took.as_secs_f64() * 1e3))
}

/// A picture of one size, as all have it: samples, numbers from 0 to 1 in (h, w, 3), and the same numbers in (1, 3, h, w).
struct Picture {
    rows: usize,
    columns: usize,
    samples: Vec<u8>,
    values: Vec<f32>,
    own: Tensor,
    own_planes: Tensor,
    flex: FlexTensor,
    flex_planes: FlexTensor,
}

impl Picture {
    fn new(rows: usize, columns: usize) -> Result<Self, Error> {
        let samples: Vec<u8> = (0..rows * columns * 3).map(|at| (at * 7_919 % 251) as u8).collect();
        let values: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 255.0).collect();
        let (shape, planes) = ([rows, columns, 3], [1, 3, rows, columns]);
        Ok(Self {
            rows,
            columns,
            own: own(&shape, &values)?,
            own_planes: own(&planes, &values)?,
            flex: flex(&shape, &values),
            flex_planes: flex(&planes, &values),
            samples,
            values,
        })
    }
}

fn own(shape: &[usize], values: &[f32]) -> Result<Tensor, Error> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor::from_bytes(ElementType::F32, shape, &bytes, &mut Unlimited)
}

fn flex(shape: &[usize], values: &[f32]) -> FlexTensor {
    Flex::float_from_data(TensorData::new(values.to_vec(), shape.to_vec()), &FlexDevice)
}

/// Numbers for kernels and matrices.
fn weights(count: usize) -> Vec<f32> {
    (0..count).map(|at| (at as f32).sin()).collect()
}
