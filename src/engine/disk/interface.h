// What the parts of the engine that are written in C++ have in common.

#ifndef KVDS_INTERFACE_H
#define KVDS_INTERFACE_H

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/version.h>

// Our C++ uses inner headers of RocksDB, which change without notice. Before another version is
// taken, read what changed in the classes that env.cc, error_recovery.cc, guard.cc and reclaim.cc
// use.
static_assert(ROCKSDB_MAJOR == 11 && ROCKSDB_MINOR == 8, "kvds was written for RocksDB 11.8");

// The structs of RocksDB's C interface are not in its headers. These have nothing but this in them:
struct rocksdb_t {
    rocksdb::DB *rep;
};
struct rocksdb_options_t {
    rocksdb::Options rep;
};

// Writes the text of an error to `text` and returns its length, 0 for success.
inline std::size_t tell(const rocksdb::Status &status, char *text, std::size_t capacity)
{
    if (status.ok())
        return 0;
    const std::string told = status.ToString();
    const std::size_t len = std::min(told.size(), capacity);
    std::memcpy(text, told.data(), len);
    return len;
}

#endif
