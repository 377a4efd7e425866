// What deadlines.rs needs and RocksDB's C interface does not have, or not without a leak.

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <rocksdb/c.h>

#include "interface.h"

namespace {

const char NAME[] = "kvds.deadlines";

// The size of the log with which RocksDB flushes the column family that keeps it. Without deadlines
// a small number there limits the space that a log takes in advance: see settings.rs.
const char MAX_LOG[] = "67108864";

} // namespace

extern "C" {

// Returns whether the database in `path` has the column family with deadlines; false if it cannot
// be read.
bool kvds_rocksdb_has_deadlines(const rocksdb_options_t *options, const char *path,
                                std::size_t path_len)
{
    std::vector<std::string> names;
    const auto status =
        rocksdb::DB::ListColumnFamilies(options->rep, std::string(path, path_len), &names);
    return status.ok() && std::find(names.begin(), names.end(), NAME) != names.end();
}

// Creates the column family. Sets `family`, which the caller destroys before the database.
std::size_t kvds_rocksdb_create_deadlines(rocksdb_t *database, const rocksdb_options_t *options,
                                          rocksdb_column_family_handle_t **family, char *text,
                                          std::size_t capacity)
{
    char *error = nullptr;
    *family = rocksdb_create_column_family(database, options, NAME, &error);
    if (error == nullptr)
        return 0;
    const std::string message = error;
    rocksdb_free(error);
    return write_error(rocksdb::Status::IOError(message), text, capacity);
}

// Lets the log grow as far as two memtables need it.
//
// RocksDB keeps a log until both column families have flushed what is in it. Beyond this size, it
// flushes the one that has not.
std::size_t kvds_rocksdb_allow_longer_log(rocksdb_t *database, char *text, std::size_t capacity)
{
    return write_error(database->rep->SetDBOptions({ { "max_total_wal_size", MAX_LOG } }), text,
                       capacity);
}
}
