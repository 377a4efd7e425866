//! RocksDB, compiled by this crate's `build.rs`. The declarations are those of `librocksdb-sys`.

#![cfg_attr(not(test), no_std)]

// Linked for what RocksDB calls.
extern crate librocksdb_sys as _;
extern crate libz_sys as _;
extern crate lz4_sys as _;
extern crate zstd_sys as _;

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    unsafe extern "C" {
        fn kvds_rocksdb_crc32c(chosen: bool, data: *const u8, size: usize) -> u32;
    }

    fn checksum(chosen: bool, data: &[u8]) -> u32 {
        // SAFETY: the function reads `size` bytes from `data`.
        unsafe { kvds_rocksdb_crc32c(chosen, data.as_ptr(), data.len()) }
    }

    /// The check value of CRC-32C, and lengths around the steps of both versions.
    #[test]
    fn both_versions_of_the_checksum_are_crc32c() {
        assert_eq!(checksum(true, b"123456789"), 0xE306_9283);
        assert_eq!(checksum(false, b"123456789"), 0xE306_9283);
        let data: Vec<u8> = (0..5000u32).map(|at| ((at * at) >> 3) as u8).collect();
        for len in (0..600).chain([1023, 1024, 1025, 4095, 4096, 5000]) {
            for start in [0, 1, 7] {
                let part = &data[start.min(len)..len];
                assert_eq!(checksum(true, part), checksum(false, part), "{start}..{len}");
            }
        }
    }
}
