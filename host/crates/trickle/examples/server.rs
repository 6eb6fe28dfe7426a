//! A trickle server on its own: `cargo run -p rillbox-trickle --example server -- 127.0.0.1:3389`.

use std::{error::Error, net::SocketAddr};

use rillbox_trickle::{Server, ServerConfig};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:3389").parse()?;
    let server = Server::bind(address, ServerConfig::default()).await?;
    println!("serving on {}", server.local_addr());
    // Runs until it is killed; a program that drains on a signal cancels a clone of this.
    server.run(CancellationToken::new()).await;
    Ok(())
}
