//! Pixels that become a guest's list with one copy: what wasmtime lowers itself is a list that the host has made before.
//!
//! What this needs of wasmtime is not of its stable interface, but what its derived `Lower` is made of: a version that changes it
//! does not compile.

use std::mem::MaybeUninit;

use rillbox_media::{Picture, PixelFormat, convert};
use wasmtime::ValRaw;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext};
use wasmtime::component::{ComponentType, Lower};

/// `list<u8>` in the contract: a picture in one format.
pub struct Pixels {
    picture: Picture,
    format: PixelFormat,
}

impl Pixels {
    pub fn new(picture: Picture, format: PixelFormat) -> Self {
        Self { picture, format }
    }

    /// Asks the guest for room, writes the list there, and gives where it is and its bytes.
    fn write<T>(&self, context: &mut LowerContext<'_, T>) -> wasmtime::Result<(u32, u32)> {
        let bytes = self.format.bytes(self.picture.width(), self.picture.height());
        let start = context.realloc(0, 0, 1, bytes)?;
        // That they are within the memory, `realloc` has checked.
        convert::read_into(&self.picture, self.format, &mut context.as_slice_mut()[start..][..bytes]);
        Ok((start.try_into()?, bytes.try_into()?))
    }
}

// SAFETY: type, layout and check are those of `[u8]`.
#[allow(unsafe_code)]
unsafe impl ComponentType for Pixels {
    type Lower = <[u8] as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = <[u8] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <[u8] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: both write all of a list's lowered form, a pointer and a length, as wasmtime's own lists do, within the guest's
// memory.
#[allow(unsafe_code)]
unsafe impl Lower for Pixels {
    fn linear_lower_to_flat<T>(
        &self,
        context: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        to: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        let (start, bytes) = self.write(context)?;
        to.write([start, bytes].map(|value| ValRaw::i64(value.into())));
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        context: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        let (start, bytes) = self.write(context)?;
        *context.get(offset) = start.to_le_bytes();
        *context.get(offset + size_of::<u32>()) = bytes.to_le_bytes();
        Ok(())
    }
}
