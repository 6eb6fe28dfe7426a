//! The host's side of each interface that a guest imports, one file each.

pub mod audio;
pub mod clock;
pub mod data;
mod error;
pub mod http;
pub mod log;
mod pixels;
pub mod shader;
pub mod stdio;
pub mod tensor;
pub mod video;

use wasmtime::component::{HasSelf, Linker};

use super::bindings::rillbox::processor;
use super::context::Guest;
pub use error::CallError;

/// Offers every interface of the contract.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    processor::types::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    processor::video::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    processor::audio::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    processor::log::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    processor::data::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    processor::clock::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    processor::tensor::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    processor::shader::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    http::add_to_linker(linker)?;
    video::add_uncopied(linker)
}

impl processor::types::Host for Guest {
    fn convert_error(&mut self, error: CallError) -> wasmtime::Result<processor::types::Error> {
        error.told()
    }
}
