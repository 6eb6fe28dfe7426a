//! Shapes: checked, and broadcast as in ONNX and NumPy.

use crate::error::{Error, invalid};

/// Axes of a tensor at most.
pub const MAX_AXES: usize = 8;

/// Elements of a tensor at most, whatever memory there is: indices of 32 bits reach them all.
const MAX_ELEMENTS: usize = 1 << 31;

/// The number of elements of a shape that a tensor may have.
pub fn elements(shape: &[usize]) -> Result<usize, Error> {
    if shape.is_empty() || shape.len() > MAX_AXES {
        return invalid(format!("{} axes, where there are 1 to {MAX_AXES}", shape.len()));
    }
    if shape.contains(&0) {
        return invalid(format!("an axis of 0 in {shape:?}"));
    }
    let count = shape.iter().try_fold(1_usize, |product, axis| product.checked_mul(*axis));
    count
        .filter(|count| *count <= MAX_ELEMENTS)
        .ok_or_else(|| Error::Limit(format!("{shape:?} has more than {MAX_ELEMENTS} elements")))
}

/// The axis that a guest means: negative ones count from the end.
pub fn axis(axis: i32, axes: usize) -> Result<usize, Error> {
    let counted = if axis < 0 { i64::from(axis) + axes as i64 } else { i64::from(axis) };
    usize::try_from(counted)
        .ok()
        .filter(|axis| *axis < axes)
        .ok_or_else(|| Error::Invalid(format!("no axis {axis} among {axes}")))
}

/// What several shapes broadcast to.
pub fn broadcast(shapes: &[&[usize]]) -> Result<Vec<usize>, Error> {
    let axes = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = vec![1; axes];
    for shape in shapes {
        let before = axes - shape.len();
        for (axis, &length) in result[before..].iter_mut().zip(*shape) {
            match (*axis, length) {
                (one, 1) => *axis = one,
                (1, length) => *axis = length,
                (same, length) if same == length => {}
                _ => return invalid(format!("{shapes:?} do not broadcast")),
            }
        }
    }
    elements(&result)?;
    Ok(result)
}

/// How the elements of a broadcast result, in order, come from those of its operands: in runs, within which each operand
/// either goes on from element to element or stands still.
#[derive(Debug)]
pub struct Runs<const N: usize> {
    /// Elements of the result in a run.
    pub length: usize,
    /// Of each operand, 1 or 0: how far it goes from one element of a run to the next.
    pub steps: [usize; N],
    /// Axes around a run, the outermost first: how long, and how far each operand goes.
    outer: Vec<(usize, [usize; N])>,
}

impl<const N: usize> Runs<N> {
    /// `result` is what the shapes broadcast to.
    pub fn new(shapes: [&[usize]; N], result: &[usize]) -> Self {
        let mut axes: Vec<(usize, [usize; N])> = Vec::with_capacity(result.len());
        let mut stride = [1; N];
        for (at, &length) in result.iter().enumerate().rev() {
            let mut steps = [0; N];
            for operand in 0..N {
                let own =
                    (at + shapes[operand].len()).checked_sub(result.len()).map_or(1, |axis| shapes[operand][axis]);
                if own > 1 {
                    steps[operand] = stride[operand];
                    stride[operand] *= own;
                }
            }
            match axes.last_mut() {
                _ if length == 1 => {}
                // One long axis with the last, where each operand goes on as it went.
                Some((last, inner)) if (0..N).all(|operand| steps[operand] == inner[operand] * *last) => {
                    *last *= length
                }
                _ => axes.push((length, steps)),
            }
        }
        axes.reverse();
        let (length, steps) = axes.pop().unwrap_or((1, [0; N]));
        Self { length, steps, outer: axes }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.outer.iter().map(|(length, _)| *length as u64).product()
    }

    /// The operand that comes again with each run while all others go on from the last, if the runs are like that.
    pub fn repeated(&self) -> Option<usize> {
        let [(_, steps)] = self.outer.as_slice() else { return None };
        let mut still = (0..N).filter(|operand| steps[*operand] == 0);
        let (first, others) = (still.next()?, still.next());
        let goes_on = |operand: usize| operand == first || steps[operand] == self.length;
        (others.is_none() && self.steps == [1; N] && (0..N).all(goes_on)).then_some(first)
    }

    /// Calls `run` for each run in order, with the first element of each operand.
    #[inline(always)]
    pub fn each(&self, mut run: impl FnMut([usize; N])) {
        let mut at = vec![0; self.outer.len()];
        let mut starts = [0; N];
        loop {
            run(starts);
            let mut axis = self.outer.len();
            loop {
                let Some(outer) = axis.checked_sub(1) else { return };
                axis = outer;
                let (length, steps) = self.outer[axis];
                at[axis] += 1;
                for operand in 0..N {
                    starts[operand] += steps[operand];
                }
                if at[axis] < length {
                    break;
                }
                for operand in 0..N {
                    starts[operand] -= steps[operand] * length;
                }
                at[axis] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches broadcasting that differs from the rule, and runs that take other elements than it says.
    #[test]
    fn shapes_broadcast_and_runs_visit_every_element() {
        let cases: [(&[usize], &[usize], &[usize]); 7] = [
            (&[2, 3], &[2, 3], &[2, 3]),
            (&[2, 3], &[3], &[2, 3]),
            (&[2, 1, 4], &[3, 1], &[2, 3, 4]),
            (&[1], &[5, 4], &[5, 4]),
            (&[3, 1, 1], &[3, 2, 2], &[3, 2, 2]),
            (&[2, 1, 3, 1], &[4, 1, 5], &[2, 4, 3, 5]),
            (&[1, 1], &[1], &[1, 1]),
        ];
        for (left, right, result) in cases {
            assert_eq!(broadcast(&[left, right]).unwrap(), result);
            let runs = Runs::new([left, right], result);
            let mut visited = Vec::new();
            runs.each(|starts| {
                visited.extend((0..runs.length).map(|at| [0, 1].map(|side| starts[side] + at * runs.steps[side])));
            });
            let expected: Vec<_> =
                (0..result.iter().product()).map(|at| [left, right].map(|of| taken(of, result, at))).collect();
            assert_eq!(visited, expected, "{left:?} {right:?}");
        }
        assert!(broadcast(&[&[2, 3], &[2]]).is_err());
    }

    /// The element of an operand that belongs to one of the result, straight from the rule.
    fn taken(shape: &[usize], result: &[usize], mut at: usize) -> usize {
        let (mut element, mut stride) = (0, 1);
        for axis in (0..result.len()).rev() {
            let position = at % result[axis];
            at /= result[axis];
            if let Some(own) = (axis + shape.len()).checked_sub(result.len()) {
                element += if shape[own] == 1 { 0 } else { position * stride };
                stride *= shape[own];
            }
        }
        element
    }

    #[test]
    fn shapes_have_bounds() {
        for shape in [&[][..], &[0], &[2, 0, 3], &[1; 9], &[1 << 16, 1 << 16], &[usize::MAX, 2]] {
            assert!(elements(shape).is_err(), "{shape:?}");
        }
        assert_eq!(elements(&[2, 3, 4]).unwrap(), 24);
        for (given, meant) in
            [(0, Some(0)), (2, Some(2)), (3, None), (-1, Some(2)), (-3, Some(0)), (-4, None), (i32::MIN, None)]
        {
            assert_eq!(axis(given, 3).ok(), meant, "{given}");
        }
    }
}
