//! Between which whole numbers a tensor's elements are: what may not be known on the device is not done there.

use rillbox_compute::ElementType;

/// No element is below the first nor above the second. Of floating point it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub least: i64,
    pub most: i64,
}

impl Bounds {
    pub const fn new(least: i64, most: i64) -> Self {
        Self { least, most }
    }

    /// Of whole numbers of this type, as far as they go on the device.
    pub fn of(element: ElementType) -> Self {
        match element {
            ElementType::U8 => Self::new(0, 255),
            ElementType::Boolean => Self::new(0, 1),
            _ => Self::new(i32::MIN.into(), i32::MAX.into()),
        }
    }

    /// The smallest bounds that contain both.
    pub fn or(self, other: Self) -> Self {
        Self::new(self.least.min(other.least), self.most.max(other.most))
    }

    /// Whether all of the others are within these.
    pub fn hold(self, other: Self) -> bool {
        self.least <= other.least && other.most <= self.most
    }

    pub fn clamp(self, number: i64) -> i64 {
        number.clamp(self.least, self.most)
    }
}
