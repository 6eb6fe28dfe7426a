//! Products, and what looks at an element's neighbours.

use std::hint::black_box;

use burn_backend::ops::{
    ConvOptions, ConvTransposeOptions, FloatTensorOps, InterpolateMode, InterpolateOptions, ModuleOps,
};
use burn_flex::Flex;
use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rillbox_compute::{Convolution, Error, Pooling, ResizeMethod, Window};

use crate::table::{Library, Table};
use crate::{Picture, flex, own, weights};

/// Rows and columns of the matrices that are multiplied.
const SIDE: usize = 512;

pub fn measure(picture: &Picture, table: &mut Table) -> Result<(), Error> {
    let square = weights(SIDE * SIDE);
    let (own_square, of_square) = (own(&[SIDE, SIDE], &square)?, flex(&[SIDE, SIDE], &square));
    table.add(
        "matmul_512",
        Library::BurnFlex,
        |a| own_square.matmul(&own_square, a),
        || Flex::float_matmul(of_square.clone(), of_square.clone()),
    )?;
    // Each colour through a matrix: many rows, and next to nothing in each.
    let matrix = weights(9);
    let (own_matrix, of_matrix) = (own(&[3, 3], &matrix)?, flex(&[1, 3, 3], &matrix));
    table.add(
        "matmul_of_colors",
        Library::BurnFlex,
        |a| picture.own.matmul(&own_matrix, a),
        || {
            let of_matrix = Flex::float_expand(of_matrix.clone(), [picture.rows, 3, 3].into());
            Flex::float_matmul(picture.flex.clone(), of_matrix)
        },
    )?;
    convolutions(picture, table)?;
    pooling(picture, table)?;
    resizing(picture, table)
}

fn convolutions(Picture { own_planes, flex_planes, .. }: &Picture, table: &mut Table) -> Result<(), Error> {
    let options = Convolution { padding: [1, 1], ..Convolution::default() };
    for (name, shape, groups) in [("3_to_16", [16, 3, 3, 3], 1), ("each_channel", [3, 1, 3, 3], 3)] {
        let kernel = weights(shape.iter().product());
        let (own_kernel, of_kernel) = (own(&shape, &kernel)?, flex(&shape, &kernel));
        let options = Convolution { groups, ..options };
        table.add(
            format!("conv2d_{name}"),
            Library::BurnFlex,
            |a| own_planes.conv2d(&own_kernel, None, options, a),
            || {
                let options = ConvOptions::new([1, 1], [1, 1], [1, 1], groups);
                <Flex as ModuleOps<Flex>>::conv2d(flex_planes.clone(), of_kernel.clone(), None, options)
            },
        )?;
    }
    let (shape, kernel) = ([3, 3, 2, 2], weights(36));
    let (own_kernel, of_kernel) = (own(&shape, &kernel)?, flex(&shape, &kernel));
    let options = Convolution { stride: [2, 2], ..Convolution::default() };
    table.add(
        "conv2d_transposed",
        Library::BurnFlex,
        |a| own_planes.conv2d_transposed(&own_kernel, None, options, [0, 0], a),
        || {
            let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
            <Flex as ModuleOps<Flex>>::conv_transpose2d(flex_planes.clone(), of_kernel.clone(), None, options)
        },
    )
}

fn pooling(Picture { own_planes, flex_planes, .. }: &Picture, table: &mut Table) -> Result<(), Error> {
    for (name, size, stride) in [("2x2", [2, 2], [2, 2]), ("9x9", [9, 9], [1, 1])] {
        let window = Window { size, stride, padding: [0, 0] };
        table.add(
            format!("max_pool_{name}"),
            Library::BurnFlex,
            |a| own_planes.pool2d(Pooling::Max, window, a),
            || <Flex as ModuleOps<Flex>>::max_pool2d(flex_planes.clone(), size, stride, [0, 0], [1, 1], false),
        )?;
        table.add(
            format!("average_pool_{name}"),
            Library::BurnFlex,
            |a| own_planes.pool2d(Pooling::Average, window, a),
            || <Flex as ModuleOps<Flex>>::avg_pool2d(flex_planes.clone(), size, stride, [0, 0], false, false),
        )?;
    }
    Ok(())
}

fn resizing(picture: &Picture, table: &mut Table) -> Result<(), Error> {
    let Picture { rows, columns, own_planes, flex_planes, values, .. } = picture;
    let images: Vec<Image> = values
        .chunks(rows * columns)
        .filter_map(|plane| {
            let bytes = plane.iter().flat_map(|value| value.to_le_bytes()).collect();
            Image::from_vec_u8(*columns as u32, *rows as u32, bytes, PixelType::F32).ok()
        })
        .collect();
    for (name, size) in [("half", [rows / 2, columns / 2]), ("three_halves", [rows * 3 / 2, columns * 3 / 2])] {
        let mut against = |method, of, library, reference: &dyn Fn()| {
            let own = |a: &mut dyn rillbox_compute::Allowance| own_planes.resize(size[0], size[1], method, a);
            table.add(format!("resize_{of}_{name}"), library, own, reference)
        };
        against(ResizeMethod::Nearest, "nearest", Library::FastImageResize, &|| {
            black_box(resized(&images, size, ResizeAlg::Nearest));
        })?;
        against(ResizeMethod::Bilinear, "bilinear", Library::FastImageResize, &|| {
            black_box(resized(&images, size, ResizeAlg::Interpolation(FilterType::Bilinear)));
        })?;
        against(ResizeMethod::Bicubic, "bicubic", Library::BurnFlex, &|| {
            let options = InterpolateOptions::new(InterpolateMode::Bicubic).with_align_corners(false);
            black_box(<Flex as ModuleOps<Flex>>::interpolate(flex_planes.clone(), size, options));
        })?;
    }
    Ok(())
}

/// Planes of another size, by another library.
fn resized(planes: &[Image], [rows, columns]: [usize; 2], algorithm: ResizeAlg) -> Vec<Image<'static>> {
    let (mut resizer, options) = (Resizer::new(), ResizeOptions::new().resize_alg(algorithm));
    let resized = planes.iter().filter_map(|plane| {
        let mut result = Image::new(columns as u32, rows as u32, PixelType::F32);
        resizer.resize(plane, &mut result, &options).ok().map(|()| result)
    });
    resized.collect()
}
