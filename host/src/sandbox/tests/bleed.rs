//! What one tenant of a slot leaves to the next: nothing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::sandbox::tests::component::{compiled, component, engine, instance};

/// Instances that are made, one after the other.
const TENANTS: usize = 10_000;

/// Slots that they share.
const SLOTS: u32 = 3;

/// Eight bytes that mean "somebody was here", in memory and on the stack.
const CANARY: u64 = 0xC0FF_EE15_600D_CA5E;

/// Bytes of the stack that are looked through.
const STACK: usize = 32 << 10;

/// A tenant with data at one address, and none at another. `load` looks through memory from 2048 on, through pages that are new,
/// and through the table, and traps where something is in them; then it asks for the time, when the host looks through the
/// stack. `start` fills all of it, and asks again.
fn tenant(data: usize, none: usize) -> Vec<u8> {
    let canary = CANARY as i64;
    let fields = format!(
        r#"
        (import "rillbox:processor/clock@0.1.0" "now" (func $now (result i64)))
        (memory (export "memory") 3)
        (table $table 64 funcref)
        (elem declare func $dirty)
        (data (i32.const {data}) "tenant's own data")
        (func $clean (param $at i32)
          (loop $next
            (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536))))))
        (func $empty (local $at i32)
          (loop $next
            (if (i32.eqz (ref.is_null (table.get $table (local.get $at)))) (then unreachable))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (table.size $table)))))
        (func $fill (local $at i32)
          (local.set $at (i32.const 2048))
          (loop $next
            (i64.store (local.get $at) (i64.const {canary}))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536))))))
        (func $dirty (param $depth i32) (param $a i64) (param $b i64) (param $c i64) (param $d i64) (result i64)
          (if (result i64) (i32.eqz (local.get $depth))
            (then (i64.const 0))
            (else
              (i64.xor
                (call $dirty (i32.sub (local.get $depth) (i32.const 1))
                  (local.get $b) (local.get $c) (local.get $d) (local.get $a))
                (i64.xor (i64.xor (local.get $a) (local.get $b)) (i64.xor (local.get $c) (local.get $d)))))))"#
    );
    let load = format!(
        r"(result i32)
        (if (i64.ne (i64.load (i32.const {none})) (i64.const 0)) (then unreachable))
        (call $clean (i32.const 2048))
        (call $empty)
        (if (i32.ne (memory.grow (i32.const 1)) (i32.const 3)) (then unreachable))
        (call $clean (i32.const 196608))
        (if (i32.ne (table.grow $table (ref.null func) (i32.const 64)) (i32.const 64)) (then unreachable))
        (call $empty)
        (if (i64.ne (call $now) (i64.const 0)) (then unreachable))
        (i32.const 0)"
    );
    let start = format!(
        r"(param i32 i32) (result i32)
        (call $fill)
        (table.fill $table (i32.const 0) (ref.func $dirty) (table.size $table))
        (drop (call $dirty (i32.const 400)
          (i64.const {canary}) (i64.const {canary}) (i64.const {canary}) (i64.const {canary})))
        (if (i64.eqz (call $now)) (then unreachable))
        (i32.const 0)"
    );
    component(&fields, &[("load", &load), ("start", &start)])
}

/// Canaries on this thread's stack, below where it is now: what calls before this one left there.
fn canaries_below() -> u64 {
    let here = 0_u64;
    let top = (&raw const here).addr() & !7;
    let mut stack = vec![0; STACK];
    // What the process has at an address, without reading past what is its own in any way that Rust forbids.
    let memory = File::open("/proc/self/mem").unwrap();
    memory.read_exact_at(&mut stack, (top - STACK) as u64).unwrap();
    stack.chunks_exact(8).filter(|word| **word == CANARY.to_ne_bytes()).count() as u64
}

/// Catches memory, tables or stacks that keep something of the tenant before, under another component or the same again.
#[tokio::test]
async fn ten_thousand_tenants_leave_nothing_behind() {
    let seen = Arc::new(AtomicU64::new(0));
    let counted = seen.clone();
    let engine = engine(SLOTS, move || {
        let canaries = canaries_below();
        counted.fetch_add(canaries, Relaxed);
        canaries
    });
    // Without a pool there are no slots, and nothing that a tenant could leave.
    let pool = engine.wasmtime().pooling_allocator_metrics().expect("a pool");
    let tenants = [(512, 768), (768, 512)].map(|(data, none)| compiled(&engine, &tenant(data, none)));
    // Some stay for a while, so that slots are not left in the order in which they were taken.
    let mut staying = Vec::new();
    for n in 0..TENANTS {
        let mut tenant = instance(&engine, &tenants[n % 5 % 2]).await;
        tenant.load().await.unwrap_or_else(|failure| panic!("tenant {n} found something: {failure}"));
        let before = seen.load(Relaxed);
        tenant.start("{}").await.unwrap();
        // What a tenant leaves on the stack is there to be found as long as it lives: the test can fail.
        assert!(seen.load(Relaxed) >= before + 400, "tenant {n} left {}", seen.load(Relaxed) - before);
        if n % 7 == 0 {
            staying.push(tenant);
        }
        if staying.len() == SLOTS as usize {
            staying.remove(n % 2);
        }
        let pooled = pool.component_instances();
        assert!((1..=u64::from(SLOTS)).contains(&pooled), "{pooled} in the pool");
    }
}
