//! Fails in `load`.

use rillbox_sdk::{Error, NoParams, Processor, Result};

#[derive(Default)]
struct LoadError;

impl Processor for LoadError {
    type Params = NoParams;

    fn load(&mut self) -> Result<()> {
        Err(Error::msg("the model is missing"))
    }

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }
}

rillbox_sdk::export!(LoadError as "load-error");
