//! A machine that has too much to do.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::runtime::Builder;

use crate::sandbox::instance::Failure;
use crate::sandbox::tests::component::{compiled, component, engine, instance};

/// Catches a guest that is blamed for time in which others ran, and one that is not for its own.
#[test]
fn who_could_not_run_is_not_to_blame() {
    let engine = engine(8, || 0);
    let endless = [("update-params", "(param i32 i32) (result i32) (loop (br 0)) (unreachable)")];
    let endless = compiled(&engine, &component(r#"(memory (export "memory") 1)"#, &endless));
    let failure = async || instance(&engine, &endless).await.update_params("{}").await.unwrap_err();
    // One thread, which looks at its timers after each turn.
    let runtime = Builder::new_current_thread().enable_time().event_interval(1).build().unwrap();
    // Other tests may take the machine from this one for as long as they run.
    let patience = Instant::now() + Duration::from_secs(120);
    let seen = |sought: &dyn Fn() -> bool| {
        std::iter::repeat_with(sought).take_while(|_| Instant::now() < patience).any(|seen| seen)
    };
    let blamed = seen(&|| matches!(runtime.block_on(failure()), Failure::Overrun(_)));
    assert!(blamed, "whoever has all of its time is to blame");
    // Nor does each of many always get less than half of its time.
    let starved = |failure: &Failure| matches!(failure, Failure::Starved { ran, budget } if *ran < *budget / 2);
    let spared = seen(&|| runtime.block_on(join_all((0..6).map(|_| failure()))).iter().all(starved));
    assert!(spared, "whoever has a part of its time is to blame");
}
