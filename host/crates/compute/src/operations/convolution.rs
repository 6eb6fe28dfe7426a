//! Convolution, and convolution transposed.

use burn_backend::ops::{ConvOptions, ConvTransposeOptions, ModuleOps};
use burn_flex::Flex;

use super::{float, planes, same};
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::elements;
use crate::tensor::bytes;
use crate::{Allowance, Cost, ElementType, Operation, Task, Tensor, Unlimited};

/// How a kernel moves over rows and columns; pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// ≥ 1.
    pub stride: [usize; 2],
    /// Zeros on both sides.
    pub padding: [usize; 2],
    /// From one element of the kernel to the next; ≥ 1.
    pub dilation: [usize; 2],
    /// Number of groups of equal size in which channels are worked on; ≥ 1.
    pub groups: usize,
}

impl Default for Convolution {
    fn default() -> Self {
        Self { stride: [1; 2], padding: [0; 2], dilation: [1; 2], groups: 1 }
    }
}

/// Numbers in [`Convolution`] and [`Window`](crate::Window) at most: sums and products of them stay far from overflow.
pub const MAX_STEP: usize = 1 << 15;

impl Convolution {
    fn check(&self) -> Result<(), Error> {
        let Self { stride, padding, dilation, groups } = *self;
        let at_least_1 = [stride[0], stride[1], dilation[0], dilation[1], groups];
        if at_least_1.contains(&0) || at_least_1.iter().chain(&padding).any(|number| *number > MAX_STEP) {
            return invalid(format!(
                "{self:?}: strides, dilations and groups are 1 to {MAX_STEP}, padding is 0 to that"
            ));
        }
        Ok(())
    }
}

impl Tensor {
    /// (n, c, h, w) with a kernel of (o, c/groups, kh, kw) and a bias of (o).
    pub fn conv2d(
        &self,
        kernel: &Self,
        bias: Option<&Self>,
        options: Convolution,
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let element = checked(self, kernel, bias, &options)?;
        let ([n, c, h, w], [o, inner, kh, kw]) = (planes(self)?, planes(kernel)?);
        let Convolution { stride, padding, dilation, groups } = options;
        if inner * groups != c || !o.is_multiple_of(groups) {
            return invalid(format!(
                "{:?} with a kernel of {:?} in {groups} groups: (n, c, h, w) goes with (o, c/groups, kh, kw)",
                self.shape(),
                kernel.shape()
            ));
        }
        check_bias(bias, o)?;
        let [rows, columns] = [(h, kh, 0), (w, kw, 1)].map(|(length, size, at)| {
            (length + 2 * padding[at]).checked_sub(dilation[at] * (size - 1) + 1).map(|room| room / stride[at] + 1)
        });
        let (Some(rows), Some(columns)) = (rows, columns) else {
            return invalid(format!(
                "a kernel of {:?} is larger than {:?} with its padding",
                kernel.shape(),
                self.shape()
            ));
        };
        let result = elements(&[n, o, rows, columns])?;
        // The backend turns its input around, and holds what a few hundred results are made of.
        let scratch = self.len() + kernel.len() + inner * kh * kw * rows.saturating_mul(columns).min(1 << 14);
        let taps = (result as u64).saturating_mul((inner * kh * kw) as u64).saturating_add(4 * self.len() as u64);
        let shape = [n, o, rows, columns];
        let cost = Cost::new(bytes(element, result + scratch), Work::Tap, taps).widened(element, result + scratch);
        let cost = cost.in_steps(steps(n, groups, rows * columns));
        // The backend goes through few channels row by row, and makes matrices of more.
        let by_rows = (groups == 1 && c <= FEW[0] && o <= FEW[1]) || (inner == 1 && groups == c && o == c);
        let lines = if by_rows { (n * o * rows) as u64 } else { 0 };
        let cost = cost.and(Work::Line, lines.saturating_mul((inner * kh * kw) as u64));
        if let Some(made) = begun(self, kernel, bias, Operation::Conv2d(options), &shape, cost, allowance)? {
            return Ok(made);
        }
        let options = ConvOptions::new(stride, padding, dilation, groups);
        let (input, kernel, bias) = (self.at_full()?, kernel.at_full()?, bias.map(Self::at_full).transpose()?);
        let bias = bias.as_ref().map(Self::inner);
        let made = <Flex as ModuleOps<Flex>>::conv2d(input.inner(), kernel.inner(), bias, options);
        Self::of_inner(ElementType::F32, made).cast(element, &mut Unlimited)
    }

    /// (n, c, h, w) with a kernel of (c, o/groups, kh, kw) and a bias of (o); `extra` rows and columns are added at the end.
    pub fn conv2d_transposed(
        &self,
        kernel: &Self,
        bias: Option<&Self>,
        options: Convolution,
        extra: [usize; 2],
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let element = checked(self, kernel, bias, &options)?;
        let ([n, c, h, w], [inner, out, kh, kw]) = (planes(self)?, planes(kernel)?);
        let Convolution { stride, padding, dilation, groups } = options;
        if inner != c || !c.is_multiple_of(groups) {
            return invalid(format!(
                "{:?} with a kernel of {:?} in {groups} groups: (n, c, h, w) goes with (c, o/groups, kh, kw)",
                self.shape(),
                kernel.shape()
            ));
        }
        if extra[0] >= stride[0] || extra[1] >= stride[1] {
            return invalid(format!("{extra:?} extra with a stride of {stride:?}: it is less"));
        }
        let o = out * groups;
        check_bias(bias, o)?;
        let [rows, columns] = [(h, kh, 0), (w, kw, 1)].map(|(length, size, at)| {
            let whole = (length - 1) * stride[at] + dilation[at] * (size - 1) + 1 + extra[at];
            whole.checked_sub(2 * padding[at]).filter(|length| *length > 0)
        });
        let (Some(rows), Some(columns)) = (rows, columns) else {
            return invalid(format!("a padding of {padding:?} leaves nothing of {:?}", self.shape()));
        };
        let result = elements(&[n, o, rows, columns])?;
        // Products are added up over a group's channels, and then each goes to its place: row by row, a tile of columns at a time.
        let (columns_of_one, places) = ((out * kh * kw) as u64, (n * groups * h * w) as u64);
        let products = (self.len() as u64).saturating_mul(columns_of_one);
        let moved = places.saturating_mul(columns_of_one).saturating_add((result + kernel.len()) as u64);
        let tiles = ((h * w) as u64).div_ceil((TILE_OF_COLUMNS / columns_of_one).max(1));
        let lines = ((n * groups) as u64).saturating_mul(columns_of_one).saturating_mul(2 * tiles + h as u64);
        // Every tap of an input's element, before they are added up.
        let scratch = (h * w).saturating_mul(out * kh * kw).saturating_add(self.len() + kernel.len());
        let full = (scratch as u64).saturating_mul(ElementType::F32.bytes() as u64);
        let total = bytes(element, result).saturating_add(full);
        let shape = [n, o, rows, columns];
        let cost =
            Cost::new(total, Work::Product, products).and(Work::Tap, moved.saturating_mul(3)).and(Work::Line, lines);
        let cost = cost.widened(element, result + self.len() + kernel.len()).in_steps(steps(n, groups, h * w));
        if let Some(made) = begun(self, kernel, bias, Operation::Conv2dTransposed(options), &shape, cost, allowance)? {
            return Ok(made);
        }
        let options = ConvTransposeOptions::new(stride, padding, extra, dilation, groups);
        let (input, kernel, bias) = (self.at_full()?, kernel.at_full()?, bias.map(Self::at_full).transpose()?);
        let bias = bias.as_ref().map(Self::inner);
        let made = <Flex as ModuleOps<Flex>>::conv_transpose2d(input.inner(), kernel.inner(), bias, options);
        Self::of_inner(ElementType::F32, made).cast(element, &mut Unlimited)
    }
}

fn begun(
    input: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    operation: Operation<'_>,
    shape: &[usize],
    cost: Cost,
    allowance: &mut dyn Allowance,
) -> Result<Option<Tensor>, Error> {
    let tensors: Vec<_> = [input, kernel].into_iter().chain(bias).collect();
    allowance.begin(cost, &Task { operation, tensors: &tensors, element: input.element(), shape })
}

/// Places of a picture that the backend works on at once.
const TILE: usize = 512;

/// Channels, in and out, that the backend does not make matrices of.
const FEW: [usize; 2] = [4, 16];

/// Numbers that a convolution transposed works on at once: 8 MiB.
const TILE_OF_COLUMNS: u64 = 2 << 20;

/// Products that a convolution is made of.
fn steps(pictures: usize, groups: usize, places: usize) -> u64 {
    (pictures as u64).saturating_mul(groups as u64).saturating_mul(places.div_ceil(TILE) as u64)
}

fn checked(
    input: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    options: &Convolution,
) -> Result<ElementType, Error> {
    options.check()?;
    same(input, kernel)?;
    if let Some(bias) = bias {
        same(input, bias)?;
    }
    float(input, "a convolution")
}

fn check_bias(bias: Option<&Tensor>, channels: usize) -> Result<(), Error> {
    match bias {
        Some(bias) if bias.shape() != [channels] => {
            invalid(format!("a bias of {:?} for {channels} channels: it is ({channels})", bias.shape()))
        }
        _ => Ok(()),
    }
}
