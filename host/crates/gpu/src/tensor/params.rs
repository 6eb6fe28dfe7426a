//! What kernels are told: `Params` of `kernels/params.wgsl`.

use bytemuck::{Pod, Zeroable};
use rillbox_compute::{ElementType, MAX_AXES};

/// What every kernel of tensors is told.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct Params {
    /// Invocations that have something to do.
    pub count: u32,
    pub operation: u32,
    pub rounding: u32,
    axes: u32,
    axis: [[u32; 4]; MAX_AXES],
    pub numbers: [[u32; 4]; 4],
}

/// An axis of a result: its length, and how far each operand goes from one place on it to the next.
pub type Axis = (usize, [usize; 3]);

impl Params {
    /// For this many invocations, which make elements of this type.
    pub fn new(count: usize, operation: u32, element: ElementType) -> Self {
        let rounding = match element {
            ElementType::F16 => 1,
            ElementType::U8 => 2,
            _ => 0,
        };
        Self { count: count as u32, operation, rounding, ..Self::default() }.with_axes(&[])
    }

    /// With these axes, the outermost first.
    pub fn with_axes(self, axes: &[Axis]) -> Self {
        let whole = joined(axes);
        Self { axes: whole.len() as u32, axis: words(&whole, &[]), ..self }
    }

    /// With these axes, and others after them that are counted elsewhere: gives how many those are.
    pub fn with_more_axes(self, axes: &[Axis], more: &[Axis]) -> (Self, u32) {
        let (whole, more) = (joined(axes), joined(more));
        let own = whole.len().min(MAX_AXES - more.len());
        (Self { axes: own as u32, axis: words(&whole[..own], &more), ..self }, more.len() as u32)
    }

    /// With these axes as they are, the outermost first, of up to four words each.
    pub fn with_raw_axes(mut self, axes: impl DoubleEndedIterator<Item = [usize; 4]>) -> Self {
        self.axes = 0;
        for (to, axis) in self.axis.iter_mut().zip(axes.rev()) {
            *to = axis.map(|number| number as u32);
            self.axes += 1;
        }
        self
    }

    /// With these as the first of its numbers.
    pub fn with_numbers<const ROWS: usize>(mut self, numbers: [[u32; 4]; ROWS]) -> Self {
        self.numbers[..ROWS].copy_from_slice(&numbers);
        self
    }
}

fn words(axes: &[Axis], more: &[Axis]) -> [[u32; 4]; MAX_AXES] {
    let mut words = [[1, 0, 0, 0]; MAX_AXES];
    for (to, (length, [a, b, c])) in words.iter_mut().zip(axes.iter().chain(more)) {
        *to = [*length, *a, *b, *c].map(|number| number as u32);
    }
    words
}

/// The same places by fewer axes, the innermost first: those where everything goes on as it went are one.
fn joined(axes: &[Axis]) -> Vec<Axis> {
    let mut joined: Vec<Axis> = Vec::with_capacity(axes.len());
    for &(length, steps) in axes.iter().rev().filter(|(length, _)| *length > 1) {
        match joined.last_mut() {
            Some((inner, inner_steps)) if (0..3).all(|of| steps[of] == inner_steps[of] * *inner) => *inner *= length,
            _ => joined.push((length, steps)),
        }
    }
    if joined.is_empty() {
        joined.push((1, [0; 3]));
    }
    joined
}

/// How far it is from one place to the next on each axis of a shape.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    strides
}

/// Axes of a result that these shapes broadcast to.
pub fn broadcast(result: &[usize], shapes: &[&[usize]]) -> Vec<Axis> {
    let strides: Vec<_> = shapes.iter().map(|shape| strides(shape)).collect();
    let step = |of: usize, at: usize| -> usize {
        let Some(shape) = shapes.get(of) else { return 0 };
        let own = (at + shape.len()).checked_sub(result.len());
        own.map_or(0, |own| if shape[own] == 1 { 0 } else { strides[of][own] })
    };
    result.iter().enumerate().map(|(at, length)| (*length, [0, 1, 2].map(|of| step(of, at)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches axes that are joined although an operand stands still on one of them, and others that are not.
    #[test]
    fn axes_that_go_on_are_one() {
        let joined_of = |result: &[usize], shapes: &[&[usize]]| joined(&broadcast(result, shapes));
        assert_eq!(joined_of(&[2, 3, 4], &[&[2, 3, 4], &[2, 3, 4]]), [(24, [1, 1, 0])]);
        assert_eq!(joined_of(&[2, 3, 4], &[&[2, 3, 4], &[4]]), [(4, [1, 1, 0]), (6, [4, 0, 0])]);
        assert_eq!(joined_of(&[3, 2, 2], &[&[3, 1, 1], &[2, 2]]), [(4, [0, 1, 0]), (3, [1, 0, 0])]);
        assert_eq!(joined_of(&[1, 1], &[&[1], &[1, 1]]), [(1, [0, 0, 0])]);
    }
}
