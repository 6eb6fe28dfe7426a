//! Elements that only move: between bytes, pictures, shapes and places.

use burn_backend::ops::{FloatTensorOps, IntTensorOps};
use burn_backend::{Slice, TensorData};
use burn_flex::{Flex, FlexDevice};
use rillbox_compute::{ChannelOrder, Channels, ElementType, Error, PadMode, PictureLayout, Span, Tensor, Unlimited};

use crate::Picture;
use crate::table::{Library, Table};

pub fn measure(picture: &Picture, table: &mut Table) -> Result<(), Error> {
    pictures(picture, table)?;
    let Picture { rows, columns, values, own, flex, own_planes: planes, .. } = picture;
    let bytes = own.bytes().to_vec();
    table.add(
        "from_bytes",
        Library::PlainLoop,
        |a| Tensor::from_bytes(ElementType::F32, own.shape(), &bytes, a),
        || bytes.clone(),
    )?;
    table.add(
        "full",
        Library::PlainLoop,
        |a| Tensor::full(ElementType::F32, own.shape(), 0.5, a),
        || vec![0.5_f32; values.len()],
    )?;
    let count = values.len();
    table.add(
        "arange",
        Library::PlainLoop,
        |a| Tensor::arange(ElementType::F32, 0.0, 0.5, count as u32, a),
        || (0..count).map(|at| at as f32 * 0.5).collect::<Vec<f32>>(),
    )?;
    table.add(
        "reshape",
        Library::BurnFlex,
        |_| own.reshape(&[3, -1]),
        || Flex::float_reshape(flex.clone(), [3, rows * columns].into()),
    )?;
    for (name, order) in [("to_planes", [2, 0, 1]), ("rows_and_columns", [1, 0, 2]), ("all_axes", [2, 1, 0])] {
        table.add(
            format!("transpose_{name}"),
            Library::BurnFlex,
            |a| own.transpose(&order, a),
            || Flex::float_permute(flex.clone(), &order).to_contiguous(),
        )?;
    }
    let spans = [(1, rows - 1, 1), (1, columns - 1, 1), (0, 3, 1)];
    let (own_spans, slices) = (spans.map(span), spans.map(slice));
    table.add(
        "slice",
        Library::BurnFlex,
        |a| own.slice(&own_spans, a),
        || Flex::float_slice(flex.clone(), &slices).to_contiguous(),
    )?;
    let spans = [(0, *rows, 2), (0, *columns, 2), (0, 3, 1)];
    let (own_spans, slices) = (spans.map(span), spans.map(slice));
    table.add(
        "slice_every_second",
        Library::BurnFlex,
        |a| own.slice(&own_spans, a),
        || Flex::float_slice(flex.clone(), &slices).to_contiguous(),
    )?;
    for axis in 0..3 {
        table.add(
            format!("concat_along_{axis}"),
            Library::BurnFlex,
            |a| Tensor::concat(&[own, own], axis as i32, a),
            || Flex::float_cat(vec![flex.clone(), flex.clone()], axis),
        )?;
    }
    let beside = *columns + 8;
    for (name, mode) in [("constant", PadMode::Constant(0.5)), ("reflect", PadMode::Reflect), ("edge", PadMode::Edge)] {
        // Where a place beyond an edge takes its value from.
        let inside = |at: usize, length: usize| match mode {
            PadMode::Reflect if at < 4 => 4 - at,
            PadMode::Reflect if at >= length + 4 => 2 * length + 2 - at,
            _ => at.clamp(4, length + 3) - 4,
        };
        let by_hand = || {
            let mut padded = vec![0.5_f32; 3 * (rows + 8) * beside];
            for (at, row) in padded.chunks_mut(beside).enumerate() {
                let (plane, at) = (at / (rows + 8), at % (rows + 8));
                if matches!(mode, PadMode::Constant(_)) && !(4..rows + 4).contains(&at) {
                    continue;
                }
                let source = &values[(plane * rows + inside(at, *rows)) * columns..][..*columns];
                row[4..4 + columns].copy_from_slice(source);
                if !matches!(mode, PadMode::Constant(_)) {
                    for at in (0..4).chain(columns + 4..beside) {
                        row[at] = source[inside(at, *columns)];
                    }
                }
            }
            padded
        };
        let widths = [(0, 0), (0, 0), (4, 4), (4, 4)];
        table.add(format!("pad_{name}"), Library::PlainLoop, |a| planes.pad(&widths, mode, a), by_hand)?;
    }
    gathers(picture, table)
}

/// Samples as numbers, and numbers as samples.
fn pictures(Picture { rows, columns, samples, values, own, .. }: &Picture, table: &mut Table) -> Result<(), Error> {
    let layout = PictureLayout {
        channels: Channels::Rgb,
        order: ChannelOrder::Hwc,
        batch: false,
        element: ElementType::F32,
        scale: vec![1.0 / 255.0],
        offset: vec![],
    };
    let by_hand = || samples.iter().map(|sample| f32::from(*sample) * (1.0 / 255.0)).collect::<Vec<f32>>();
    table.add("from_picture", Library::PlainLoop, |a| layout.tensor(*columns, *rows, samples, a), by_hand)?;
    let by_hand = || values.iter().map(|value| (value * 255.0 + 0.5) as u8).collect::<Vec<u8>>();
    table.add("to_picture", Library::PlainLoop, |a| layout.samples(own, a), by_hand)
}

/// Whole rows in another order, and single elements out of a table, as colours are looked up.
fn gathers(Picture { rows, own, flex, samples, .. }: &Picture, table: &mut Table) -> Result<(), Error> {
    let order: Vec<i32> = (0..*rows as i32).rev().collect();
    let bytes: Vec<u8> = order.iter().flat_map(|at| at.to_le_bytes()).collect();
    let own_order = Tensor::from_bytes(ElementType::I32, &[*rows], &bytes, &mut Unlimited)?;
    let of_order = Flex::int_from_data(TensorData::new(order, [*rows]), &FlexDevice);
    table.add(
        "gather_rows",
        Library::BurnFlex,
        |a| own.gather(0, &own_order, a),
        || Flex::float_select(flex.clone(), 0, of_order.clone()),
    )?;
    let colors: Vec<f32> = (0..256).map(|at| (at as f32 / 255.0).sqrt()).collect();
    let own_colors = crate::own(&[256], &colors)?;
    let places: Vec<i32> = samples.iter().map(|sample| i32::from(*sample)).collect();
    let bytes: Vec<u8> = places.iter().flat_map(|place| place.to_le_bytes()).collect();
    let own_samples = Tensor::from_bytes(ElementType::I32, own.shape(), &bytes, &mut Unlimited)?;
    let by_hand = || places.iter().map(|place| colors[*place as usize]).collect::<Vec<f32>>();
    table.add("gather_elements", Library::PlainLoop, |a| own_colors.gather(0, &own_samples, a), by_hand)
}

fn span((start, end, step): (usize, usize, usize)) -> Span {
    Span { start, end, step }
}

fn slice((start, end, step): (usize, usize, usize)) -> Slice {
    Slice::new(start as isize, Some(end as isize), step as isize)
}
