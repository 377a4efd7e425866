// What all C++ files of the disk engine include.

#ifndef KVDS_INTERFACE_H
#define KVDS_INTERFACE_H

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/version.h>

// These files use internal headers of RocksDB, which change without notice. Before an upgrade, read
// the changes of the classes that cache_limits.cc, env.cc, error_recovery.cc, iterator.cc,
// moved_dir_guard.cc and tombstone_compaction.cc use.
static_assert(ROCKSDB_MAJOR == 11 && ROCKSDB_MINOR == 8, "kvds was written for RocksDB 11.8");

// The structs of RocksDB's C interface are not in its headers. They have this one member:
struct rocksdb_t {
    rocksdb::DB *rep;
};
struct rocksdb_options_t {
    rocksdb::Options rep;
};

// Writes the text of an error to `text` and returns its length, or 0 for success.
inline std::size_t write_error(const rocksdb::Status &status, char *text, std::size_t capacity)
{
    if (status.ok())
        return 0;
    const std::string message = status.ToString();
    const std::size_t len = std::min(message.size(), capacity);
    std::memcpy(text, message.data(), len);
    return len;
}

#endif
