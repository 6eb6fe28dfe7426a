//! Waits in the host for an hour when it starts.

use std::time::Duration;

use rillbox_sdk::{NoParams, Processor, Result};

#[derive(Default)]
struct ParkStart;

impl Processor for ParkStart {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        std::thread::sleep(Duration::from_secs(3_600));
        Ok(())
    }
}

rillbox_sdk::export!(ParkStart as "park-start");
