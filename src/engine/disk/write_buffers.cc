// The flush that write_buffers.rs starts, which RocksDB's C interface does not have.

#include <cstddef>

#include "interface.h"

// Starts to flush the memtable, without waiting.
extern "C" std::size_t kvds_rocksdb_start_flush(rocksdb_t *database, char *text,
                                                std::size_t capacity)
{
    rocksdb::FlushOptions options;
    options.wait = false;
    options.allow_write_stall = true;
    return write_error(database->rep->Flush(options), text, capacity);
}
