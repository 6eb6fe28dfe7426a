//! Many elements that become one, and norms, which are made of such.

use burn_backend::IntDType;
use burn_backend::ops::{ActivationOps, FloatTensorOps, ModuleOps};
use burn_flex::Flex;
use rillbox_compute::{ArgReduction, Error, Reduction};

use crate::table::{Library, Table};
use crate::{Picture, flex, own};

const EPSILON: f32 = 1e-5;

pub fn measure(picture: &Picture, table: &mut Table) -> Result<(), Error> {
    let Picture { own: whole, flex: of_flex, .. } = picture;
    let clone = || of_flex.clone();
    let mut all = |name: &str, reduction, reference: &dyn Fn() -> _| {
        table.add(format!("{name}_of_all"), Library::BurnFlex, |a| whole.reduce(reduction, &[], false, a), reference)
    };
    all("sum", Reduction::Sum, &|| Flex::float_sum(clone()))?;
    all("mean", Reduction::Mean, &|| Flex::float_mean(clone()))?;
    all("max", Reduction::Max, &|| Flex::float_max(clone()))?;
    all("min", Reduction::Min, &|| Flex::float_min(clone()))?;
    all("prod", Reduction::Prod, &|| Flex::float_prod(clone()))?;
    for axis in 0..3 {
        let mut along = |name: &str, reduction, reference: &dyn Fn() -> _| {
            let own = |a: &mut dyn rillbox_compute::Allowance| whole.reduce(reduction, &[axis as i32], false, a);
            table.add(format!("{name}_along_{axis}"), Library::BurnFlex, own, reference)
        };
        along("sum", Reduction::Sum, &|| Flex::float_sum_dim(clone(), axis))?;
        along("mean", Reduction::Mean, &|| Flex::float_mean_dim(clone(), axis))?;
        along("max", Reduction::Max, &|| Flex::float_max_dim(clone(), axis))?;
        along("min", Reduction::Min, &|| Flex::float_min_dim(clone(), axis))?;
        table.add(
            format!("arg_max_along_{axis}"),
            Library::BurnFlex,
            |a| whole.arg_reduce(ArgReduction::Max, axis as i32, false, a),
            || Flex::float_argmax(clone(), axis, IntDType::I64),
        )?;
        table.add(
            format!("arg_min_along_{axis}"),
            Library::BurnFlex,
            |a| whole.arg_reduce(ArgReduction::Min, axis as i32, false, a),
            || Flex::float_argmin(clone(), axis, IntDType::I64),
        )?;
        table.add(
            format!("softmax_along_{axis}"),
            Library::BurnFlex,
            |a| whole.softmax(axis as i32, a),
            || <Flex as ActivationOps<Flex>>::softmax(clone(), axis).to_contiguous(),
        )?;
    }
    norms(picture, table)
}

fn norms(picture: &Picture, table: &mut Table) -> Result<(), Error> {
    let Picture { rows, columns, values, own_planes: planes, flex_planes: of_planes, .. } = picture;
    let factors = [0.9, 1.0, 1.1];
    let (three, of_three) = (own(&[3], &factors)?, || flex(&[3], &factors));
    table.add(
        "batch_norm",
        Library::BurnFlex,
        |a| planes.batch_norm([&three; 4], EPSILON, a),
        || {
            let [scale, bias, mean, variance] = std::array::from_fn(|_| of_three());
            <Flex as ModuleOps<Flex>>::batch_norm(of_planes.clone(), scale, bias, mean, variance, EPSILON.into())
        },
    )?;
    // Rows of the planes, each by itself.
    let row = vec![1.1; *columns];
    let (own_row, of_row) = (own(&[*columns], &row)?, flex(&[*columns], &row));
    table.add(
        "layer_norm",
        Library::BurnFlex,
        |a| planes.layer_norm(-1, &own_row, None, EPSILON, a),
        || <Flex as ModuleOps<Flex>>::layer_norm(of_planes.clone(), of_row.clone(), None, EPSILON.into()),
    )?;
    // burn has it among its modules alone.
    let by_hand = || {
        let planes = values.chunks(rows * columns).zip(factors);
        let normed = planes.flat_map(|(plane, factor)| {
            let count = plane.len() as f32;
            let mean = plane.iter().sum::<f32>() / count;
            let variance = plane.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / count;
            let scale = factor / (variance + EPSILON).sqrt();
            plane.iter().map(move |value| (value - mean) * scale + factor)
        });
        normed.collect::<Vec<f32>>()
    };
    table.add("group_norm", Library::PlainLoop, |a| planes.group_norm(3, &three, &three, EPSILON, a), by_hand)
}
