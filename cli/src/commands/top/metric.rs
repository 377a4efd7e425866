//! The numbers that `top` shows about a store.

/// A number. The order is that of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Keys,
    KeysPerSecond,
    Reads,
    /// The percentage of reads that found their key.
    Hits,
    Writes,
    /// Those that run.
    Compactions,
    /// The writes of all stores of a cluster.
    Revisions,
    DatabaseBytes,
    DiskBytes,
    WalBytes,
    WalWritten,
    TablesWritten,
    PendingCompaction,
    Cpu,
    Memory,
    DiskRead,
    DiskWritten,
}

enum Unit {
    Count,
    Bytes,
    Percent,
}

impl Metric {
    /// The metrics of a disk store. Its writer counts its own reads, writes and compactions; the
    /// last four are those of the whole process.
    pub const DISK: [Metric; 15] = [
        Metric::Keys,
        Metric::KeysPerSecond,
        Metric::Reads,
        Metric::Hits,
        Metric::Writes,
        Metric::DiskBytes,
        Metric::WalBytes,
        Metric::WalWritten,
        Metric::TablesWritten,
        Metric::PendingCompaction,
        Metric::Compactions,
        Metric::Cpu,
        Metric::Memory,
        Metric::DiskRead,
        Metric::DiskWritten,
    ];
    pub const CLUSTER: [Metric; 4] =
        [Metric::Keys, Metric::KeysPerSecond, Metric::Revisions, Metric::DatabaseBytes];

    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Keys => "keys",
            Metric::KeysPerSecond => "keys_per_s",
            Metric::Reads => "reads_per_s",
            Metric::Hits => "hit_percent",
            Metric::Writes => "writes_per_s",
            Metric::Compactions => "running_compactions",
            Metric::Revisions => "revisions_per_s",
            Metric::DatabaseBytes => "etcd_db_bytes",
            Metric::DiskBytes => "disk_bytes",
            Metric::WalBytes => "wal_bytes",
            Metric::WalWritten => "wal_bytes_per_s",
            Metric::TablesWritten => "table_bytes_per_s",
            Metric::PendingCompaction => "pending_compaction_bytes",
            Metric::Cpu => "writer_cpu_percent",
            Metric::Memory => "writer_memory_bytes",
            Metric::DiskRead => "writer_read_bytes_per_s",
            Metric::DiskWritten => "writer_written_bytes_per_s",
        }
    }

    /// Returns the heading of the column.
    pub fn column(self) -> &'static str {
        match self {
            Metric::Keys => "keys",
            Metric::KeysPerSecond => "keys/s",
            Metric::Reads => "reads/s",
            Metric::Hits => "hits%",
            Metric::Writes => "writes/s",
            Metric::Compactions => "compact",
            Metric::Revisions => "writes/s",
            Metric::DatabaseBytes => "database",
            Metric::DiskBytes => "disk",
            Metric::WalBytes => "wal",
            Metric::WalWritten => "wal/s",
            Metric::TablesWritten => "tables/s",
            Metric::PendingCompaction => "pending",
            Metric::Cpu => "cpu%",
            Metric::Memory => "memory",
            Metric::DiskRead => "read/s",
            Metric::DiskWritten => "write/s",
        }
    }

    /// Returns the label on the screen.
    pub fn label(self) -> &'static str {
        match self {
            Metric::Keys => "keys, about",
            Metric::KeysPerSecond => "  change per second",
            Metric::Reads => "reads per second",
            Metric::Hits => "  that found their key",
            Metric::Writes => "writes per second",
            Metric::Compactions => "  running compactions",
            Metric::Revisions => "writes per second, all stores",
            Metric::DatabaseBytes => "database of the cluster",
            Metric::DiskBytes => "disk",
            Metric::WalBytes => "write-ahead log",
            Metric::WalWritten => "  written per second",
            Metric::TablesWritten => "tables written per second",
            Metric::PendingCompaction => "pending compaction",
            Metric::Cpu => "writer: CPU",
            Metric::Memory => "writer: memory",
            Metric::DiskRead => "writer: disk reads per second",
            Metric::DiskWritten => "writer: disk writes per second",
        }
    }

    /// Returns whether the number is one of a level, whose graph begins at its minimum.
    pub fn is_gauge(self) -> bool {
        matches!(
            self,
            Metric::Keys
                | Metric::DatabaseBytes
                | Metric::DiskBytes
                | Metric::WalBytes
                | Metric::PendingCompaction
                | Metric::Compactions
                | Metric::Memory
        )
    }

    fn unit(self) -> Unit {
        match self {
            Metric::Keys
            | Metric::KeysPerSecond
            | Metric::Reads
            | Metric::Writes
            | Metric::Compactions
            | Metric::Revisions => Unit::Count,
            Metric::Hits | Metric::Cpu => Unit::Percent,
            _ => Unit::Bytes,
        }
    }

    /// Returns `value` in at most eight columns.
    pub fn shown(self, value: Option<f64>) -> String {
        let Some(value) = value else { return "-".to_owned() };
        match self.unit() {
            Unit::Count => short(value, 1000.0, 9_999_999.0),
            Unit::Bytes => short(value, 1024.0, 1023.5),
            Unit::Percent => format!("{value:.0}%"),
        }
    }
}

/// Returns bytes in at most eight columns.
pub fn short_bytes(bytes: f64) -> String {
    short(bytes, 1024.0, 1023.5)
}

/// Returns a number as a whole one up to `largest`, and else with a unit for a power of `base`.
fn short(value: f64, base: f64, largest: f64) -> String {
    if value.abs() <= largest {
        // A change that rounds to zero has no sign.
        return format!("{:.0}", value.round() + 0.0);
    }
    let mut value = value;
    for unit in ["K", "M", "G", "T", "P"] {
        value /= base;
        if value.abs() < 99.95 {
            return format!("{value:.1}{unit}");
        }
        if value.abs() < base - 0.5 {
            return format!("{value:.0}{unit}");
        }
    }
    format!("{value:.0}P")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (Metric::Keys, 0.0, "0"),
            (Metric::Keys, 9_999_999.0, "9999999"),
            (Metric::Keys, 12_345_678.0, "12.3M"),
            (Metric::Keys, 123_456_789.0, "123M"),
            (Metric::KeysPerSecond, -0.4, "0"),
            (Metric::KeysPerSecond, -12.0, "-12"),
            (Metric::DiskBytes, 1023.0, "1023"),
            (Metric::DiskBytes, 1023.9, "1.0K"),
            (Metric::DiskBytes, 1024.0 * 1023.9, "1.0M"),
            (Metric::DiskBytes, 1024.0 * 102.4, "102K"),
            (Metric::DiskBytes, 1e30, "888178419700125P"),
            (Metric::Cpu, 99.6, "100%"),
        ];
        for (metric, value, expected) in cases {
            assert_eq!(metric.shown(Some(value)), expected, "{metric:?} {value}");
        }
        assert_eq!(Metric::Cpu.shown(None), "-");
    }
}
