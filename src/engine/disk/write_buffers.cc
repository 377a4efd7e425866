// The flush that write_buffers.rs starts, which RocksDB's C interface does not have.

#include <cstddef>

#include <db/db_impl/db_impl.h>

#include "interface.h"
#include "private_member.h"

namespace {

using rocksdb::DBImpl;
using rocksdb::FlushOptions;

struct Mutex {
    friend auto member_of(Mutex);
};
struct FlushAll {
    friend auto member_of(FlushAll);
};
template struct PrivateMember<Mutex, &DBImpl::mutex_>;
template struct PrivateMember<FlushAll, &DBImpl::FlushAllColumnFamilies>;

// Flushes the memtables of all column families. RocksDB's own call flushes those that it is given;
// but a store without a log needs all of them to be flushed as one.
rocksdb::Status flush_all(rocksdb::DB &database, const FlushOptions &options)
{
    auto &implementation = static_cast<DBImpl &>(*database.GetRootDB());
    rocksdb::InstrumentedMutexLock lock(&(implementation.*member_of(Mutex())));
    return (implementation.*member_of(FlushAll()))(options, rocksdb::FlushReason::kManualFlush);
}

} // namespace

// Starts to flush the memtables, without waiting.
extern "C" std::size_t kvds_rocksdb_start_flush(rocksdb_t *database, char *text,
                                                std::size_t capacity)
{
    FlushOptions options;
    options.wait = false;
    options.allow_write_stall = true;
    return write_error(flush_all(*database->rep, options), text, capacity);
}
