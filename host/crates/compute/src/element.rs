//! Types of elements.

use std::fmt;

use burn_backend::DType;
use burn_std::BoolStore;

/// What a tensor consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// 0 to 255.
    U8,
    /// 32 bits with a sign.
    I32,
    /// 64 bits with a sign.
    I64,
    /// A byte that is 0 or 1.
    Boolean,
}

impl ElementType {
    /// Bytes of one.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::Boolean => 1,
            Self::F16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// `f32` and `f16`.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16)
    }

    pub(crate) const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::U8 => DType::U8,
            Self::I32 => DType::I32,
            Self::I64 => DType::I64,
            Self::Boolean => DType::Bool(BoolStore::Native),
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::U8 => "uint8",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::Boolean => "boolean",
        })
    }
}
