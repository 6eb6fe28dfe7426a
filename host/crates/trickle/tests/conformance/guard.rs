//! Connections to addresses that somebody checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rillbox_trickle::{ChannelUrl, Client, ClientConfig, ConnectError, ControlError, Guard, next_seq};
use tokio::net::TcpListener;

use crate::harness::{TestServer, soon};

fn guarded(guard: Guard) -> Client {
    Client::new(ClientConfig { guard: Some(guard), ..ClientConfig::default() }).unwrap()
}

/// Catches a name that is looked up anew between the check and the connection: it could lead elsewhere by then.
#[tokio::test]
async fn what_the_guard_gives_is_connected_to_and_nothing_else() {
    let server = TestServer::start().await;
    server.post("/c/0", "x").await;
    let decoy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: ChannelUrl = format!("http://localhost:{}/c", decoy.local_addr().unwrap().port()).parse().unwrap();
    let (real, port) = (server.addr, decoy.local_addr().unwrap().port());
    let client = guarded(Guard::new(move |host, asked, found| {
        assert_eq!((host, asked), ("localhost", port));
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
        Ok(vec![real])
    }));
    assert_eq!(soon(next_seq(&client, &url)).await.unwrap(), 1);
}

/// Catches a refusal that only the first connection gets, and one that does not say why.
#[tokio::test]
async fn a_name_that_leads_elsewhere_later_is_refused_then() {
    let server = TestServer::start().await;
    server.post("/c/0", "x").await;
    let moved = Arc::new(AtomicBool::new(false));
    let now = moved.clone();
    let guard = Guard::new(move |_, _, found| match now.load(Ordering::SeqCst) {
        false => Ok(found),
        true => Err("it has moved".into()),
    });
    let url = server.url("c");
    assert_eq!(soon(next_seq(&guarded(guard.clone()), &url)).await.unwrap(), 1);
    moved.store(true, Ordering::SeqCst);
    let refused = soon(next_seq(&guarded(guard), &url)).await;
    let Err(ControlError::Connect(ConnectError::Refused(why))) = refused else { panic!("{refused:?}") };
    assert_eq!(why.to_string(), "it has moved");
}
