//! Never returns from `start`.

use rillbox_sdk::{NoParams, Processor, Result};

#[derive(Default)]
struct Restless;

impl Processor for Restless {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        loop {
            std::hint::spin_loop();
        }
    }
}

rillbox_sdk::export!(Restless as "restless");
