//! Peak memory of this process.

/// Starts a new peak where the system can (Linux).
pub fn reset() {
    // A system that refuses keeps the old peak; the figure is then an upper bound.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Largest resident memory since [`reset`], MiB; `None` where the system doesn't tell.
pub fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
