//! Room for instances, reserved once: addresses for their memories, tables and stacks, so that making an instance asks the
//! system for nothing.
//!
//! Only addresses are reserved. Nothing of a slot stays in memory when its instance is gone, so that what a host needs depends on
//! what runs, and a slot's next tenant finds zeros.

use wasmtime::PoolingAllocationConfig;

use super::limits::{Limits, MAX_MEMORIES, MAX_PARTS, MAX_TABLE_ELEMENTS, MAX_TABLES};

/// Bytes of the engine's own for one core instance, and for all of one instance: functions, globals, handles to them.
const CORE_STATE: usize = 2 << 20;
const STATE: usize = 4 << 20;

/// A pool that has room for `limits.instances` of the largest instances there may be.
pub fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let each = |parts: u32| limits.instances.saturating_mul(parts);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(limits.instances)
        .total_stacks(limits.instances)
        .total_core_instances(each(MAX_PARTS))
        .total_memories(each(MAX_MEMORIES))
        .total_tables(each(MAX_TABLES))
        .max_core_instances_per_component(MAX_PARTS)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_tables_per_module(MAX_TABLES)
        .max_memory_size(limits.memory)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_core_instance_size(CORE_STATE)
        .max_component_instance_size(STATE)
        .linear_memory_keep_resident(0)
        .table_keep_resident(0)
        .async_stack_keep_resident(0);
    pool
}
