//! A host that panics in an import.

use crate::sandbox::instance::Failure;
use crate::sandbox::tests::component::{compiled, component, engine, instance};

const CLOCK: &str =
    r#"(import "rillbox:processor/clock@0.1.0" "now" (func $now (result i64))) (memory (export "memory") 1)"#;

/// Catches a panic that takes the task, its thread or the engine with it, and one that does not count as the guest's trap.
#[tokio::test]
async fn a_panic_of_the_host_is_a_trap_of_the_guest() {
    let engine = engine(2, || panic!("the clock is broken"));
    let broken = compiled(&engine, &component(CLOCK, &[("load", "(result i32) (drop (call $now)) (i32.const 0)")]));
    let sound = compiled(&engine, &component(CLOCK, &[]));
    let mut neighbour = instance(&engine, &sound).await;
    for _ in 0..100 {
        let failure = instance(&engine, &broken).await.load().await.unwrap_err();
        assert!(matches!(&failure, Failure::Trap(why) if why.contains("the clock is broken")), "{failure}");
        assert!(failure.is_fatal());
        neighbour.load().await.unwrap();
    }
    instance(&engine, &sound).await.load().await.unwrap();
}
