//! What an operation takes, estimated before it begins: nothing stops one that runs.

use std::time::Duration;

use crate::tensor::bytes;
use crate::{ElementType, Error, Task, Tensor};

/// What an operation takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of the result and of everything needed to make it.
    pub bytes: u64,
    /// Time on a slow core.
    pub time: Duration,
}

/// Who decides whether an operation may begin, and where it is done.
pub trait Allowance {
    /// [`Error::Limit`] if it may not.
    fn admit(&mut self, cost: Cost) -> Result<(), Error>;

    /// Admits an operation on tensors that are all here, and leaves it to the caller; or does it where its tensors are, and gives
    /// its result. [`Error::Away`] if it can do neither.
    fn begin(&mut self, cost: Cost, task: &Task<'_>) -> Result<Option<Tensor>, Error> {
        if task.tensors.iter().any(|tensor| tensor.device().is_some()) {
            return Err(Error::Away);
        }
        self.admit(cost).map(|()| None)
    }
}

/// Admits everything: for tests of processors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Allowance for Unlimited {
    fn admit(&mut self, _: Cost) -> Result<(), Error> {
        Ok(())
    }
}

/// Work of one kind, in picoseconds a unit: about twice what it takes on one core of 2 GHz with AVX2.
#[derive(Clone, Copy)]
pub enum Work {
    /// A byte that is read and written.
    Move,
    /// An element that is read, changed with a few instructions, and written.
    Element,
    /// An element that goes through an exponential or a logarithm.
    Exponential,
    /// An element that goes through another function of the maths library, or a division of whole numbers.
    Function,
    /// A multiplication and an addition of a matrix product.
    Product,
    /// The same of a convolution.
    Tap,
    /// A row of a convolution's results, however short, for each place of its kernel.
    Line,
    /// An element that becomes one of half precision by itself, or was one.
    Half,
}

impl Work {
    const fn picoseconds(self) -> u64 {
        match self {
            Self::Move => 400,
            Self::Element => 1_000,
            Self::Exponential => 6_000,
            Self::Function => 15_000,
            Self::Product => 60,
            Self::Tap => 400,
            Self::Line => 6_000,
            Self::Half => 3_000,
        }
    }
}

/// What each matrix, each group and each tile of a convolution, and each axis costs by itself, however little there is in it.
const STEP: Duration = Duration::from_nanos(300);

/// What each piece costs that is copied by itself, however short it is.
const PIECE: Duration = Duration::from_nanos(10);

impl Cost {
    /// In this many pieces that are copied one by one.
    pub fn in_pieces(self, pieces: u64) -> Self {
        let own = Duration::from_nanos((PIECE.as_nanos() as u64).saturating_mul(pieces));
        Self { time: self.time.saturating_add(own), ..self }
    }

    /// With this much work of another kind.
    pub fn and(self, work: Work, units: u64) -> Self {
        Self { time: self.time.saturating_add(Self::new(0, work, units).time), ..self }
    }

    /// With this many elements of operands and results that are converted, if they are of half precision, which is
    /// worked on at full.
    pub fn widened(self, element: ElementType, count: usize) -> Self {
        if element != ElementType::F16 {
            return self;
        }
        let bytes = self.bytes.saturating_add(bytes(ElementType::F32, count));
        Self { bytes, ..self }.and(Work::Element, count as u64)
    }

    /// With this many elements that are converted one by one, if they are of half precision.
    pub fn converted(self, element: ElementType, count: usize) -> Self {
        if element == ElementType::F16 { self.and(Work::Half, count as u64) } else { self }
    }

    /// With this many steps that each take their time.
    pub fn in_steps(self, steps: u64) -> Self {
        let own = Duration::from_nanos((STEP.as_nanos() as u64).saturating_mul(steps));
        Self { time: self.time.saturating_add(own), ..self }
    }

    /// Of elements that are each read, changed and written: a long one is as much as two.
    pub fn of_elements(element: ElementType, count: usize) -> Self {
        let size = bytes(element, count);
        Self::new(size, Work::Element, (size / 4).max(count as u64))
    }

    /// This many bytes, and this many units of one kind of work; what does not fit into a number is its largest value.
    pub fn new(bytes: u64, work: Work, units: u64) -> Self {
        Self { bytes, time: Duration::from_nanos(units.saturating_mul(work.picoseconds()) / 1_000) }
    }
}
