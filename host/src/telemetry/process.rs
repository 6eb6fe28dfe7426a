//! What the process itself uses, as the system counts it.

use std::time::Duration;

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, ticks_per_second};

/// What the process uses at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Processor time since its start, in user and system mode, of all threads.
    pub cpu: Duration,
    /// Bytes of memory that are resident.
    pub resident_memory: u64,
    /// Bytes of memory that are mapped.
    pub virtual_memory: u64,
    /// Descriptors that are open.
    pub open_files: u64,
    /// Descriptors that may be open; `None` without a limit.
    pub max_files: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// When it started, since 1970.
    pub started: Duration,
}

impl Usage {
    /// Reads `/proc`, which takes no time worth mentioning; `None` where it is not there.
    pub fn now() -> Option<Self> {
        read().inspect_err(|error| tracing::debug!(%error, "/proc cannot be read")).ok()
    }
}

fn read() -> ProcResult<Usage> {
    let process = Process::myself()?;
    let (stat, limits) = (process.stat()?, process.limits()?);
    let ticks = |count: u64| Duration::from_secs_f64(count as f64 / ticks_per_second() as f64);
    Ok(Usage {
        cpu: ticks(stat.utime + stat.stime),
        resident_memory: stat.rss * procfs::page_size(),
        virtual_memory: stat.vsize,
        open_files: process.fd_count()? as u64,
        max_files: match limits.max_open_files.soft_limit {
            LimitValue::Unlimited => None,
            LimitValue::Value(files) => Some(files),
        },
        threads: u64::try_from(stat.num_threads).unwrap_or(0),
        started: Duration::from_secs(procfs::boot_time_secs()?) + ticks(stat.starttime),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches figures in wrong units: seconds taken for ticks, or bytes for pages.
    #[test]
    fn usage_is_plausible() {
        let usage = Usage::now().unwrap();
        let age = std::time::UNIX_EPOCH.elapsed().unwrap().saturating_sub(usage.started);
        assert!(age < Duration::from_secs(3600) && usage.cpu < Duration::from_secs(3600), "{usage:?}");
        assert!((1 << 20..1 << 34).contains(&usage.resident_memory), "{usage:?}");
        assert!(usage.virtual_memory >= usage.resident_memory && usage.open_files >= 3 && usage.threads >= 1);
    }
}
