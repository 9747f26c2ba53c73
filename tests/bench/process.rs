//! What Linux says of a process: memory and processor time.

use std::fs;
use std::time::Duration;

use crate::support::process::Failure;

/// Kernel ticks in a second, as `/proc/<pid>/stat` counts: 100 on every Linux of today.
const TICKS: f64 = 100.0;

/// Resident memory now, in MB.
pub fn memory(pid: u32) -> Result<f64, Failure> {
    status(pid, "VmRSS:")
}

/// The most resident memory since the process began or `forget_peak`, in MB.
pub fn peak(pid: u32) -> Result<f64, Failure> {
    status(pid, "VmHWM:")
}

/// Lets `peak` count from now.
pub fn forget_peak(pid: u32) -> Result<(), Failure> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

fn status(pid: u32, field: &str) -> Result<f64, Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kb = line.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|kb| kb.parse::<f64>().ok());
    kb.map(|kb| kb / 1_024.0).ok_or_else(|| Failure(format!("/proc/{pid}/status has no {field}")))
}

/// Processor time so far, of all threads.
pub fn processor_time(pid: u32) -> Result<Duration, Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold spaces; after its parenthesis the state is field 0, utime 11, stime 12.
    let fields: Vec<&str> =
        text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    Ok(Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS))
}

/// The machine in one line: figures of another one are other figures.
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |path: &str, name: &str| {
        let text = read(path);
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let memory = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<u64>().unwrap_or_default();
    format!(
        "{}, {} cores, {} GB, Linux {}; load while measuring {}",
        field("/proc/cpuinfo", "model name"),
        std::thread::available_parallelism().map_or(1, usize::from),
        memory / 1_048_576,
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
    )
}
