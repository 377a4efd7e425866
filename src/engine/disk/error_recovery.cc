// The parts of RocksDB's error recovery that its C interface does not have.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <db/db_impl/db_impl.h>
#include <rocksdb/listener.h>

#include "interface.h"
#include "private_member.h"

namespace {

using rocksdb::BackgroundErrorReason;
using rocksdb::DBImpl;
using rocksdb::Status;

Status set_auto_compactions(rocksdb::DB &database, bool enabled)
{
    return database.SetOptions({ { "disable_auto_compactions", enabled ? "false" : "true" } });
}

class Listener : public rocksdb::EventListener {
public:
    explicit Listener(std::uint64_t *compaction_space) : compaction_space(compaction_space) {}

private:
    std::uint64_t *compaction_space;

    // By default, most errors of the file system end the database; a full disk and retryable errors
    // halt it. Resuming is the same whatever the error was: the memtables are flushed to a new
    // table file, and no file in which a write failed is written again. So every error only halts.
    void OnBackgroundError(BackgroundErrorReason reason, Status *error) override
    {
        // A disk that is too full to compact may have space for writes.
        if (reason == BackgroundErrorReason::kCompaction && error->IsNoSpace()) {
            *error = Status::OK();
            return;
        }
        if (error->IsIOError() && !error->IsIOFenced() &&
            error->severity() < Status::Severity::kUnrecoverableError)
            *error = Status(*error, Status::Severity::kHardError);
    }

    // Without space, RocksDB would retry a compaction every second and fill the rest of the disk
    // each time. So compactions are disabled until the space that this one needs is free.
    void OnCompactionCompleted(rocksdb::DB *database,
                               const rocksdb::CompactionJobInfo &info) override
    {
        if (!info.status.IsNoSpace())
            return;
        const auto needed = std::max<std::uint64_t>(info.stats.total_input_bytes, 1);
        std::atomic_ref(*compaction_space).store(needed);
        set_auto_compactions(*database, false);
    }

    // RocksDB's own recovery looks for space every five seconds, which is late, and excludes other
    // resumes meanwhile.
    void OnErrorRecoveryBegin(BackgroundErrorReason, Status, bool *automatic) override
    {
        *automatic = false;
    }
};

struct Mutex {
    friend auto member_of(Mutex);
};
struct ErrorHandler {
    friend auto member_of(ErrorHandler);
};
struct FlushQueue {
    friend auto member_of(FlushQueue);
};
struct UnscheduledFlushes {
    friend auto member_of(UnscheduledFlushes);
};
struct WaitForBackgroundWork {
    friend auto member_of(WaitForBackgroundWork);
};
struct WalIsEmpty {
    friend auto member_of(WalIsEmpty);
};
template struct PrivateMember<Mutex, &DBImpl::mutex_>;
template struct PrivateMember<ErrorHandler, &DBImpl::error_handler_>;
template struct PrivateMember<FlushQueue, &DBImpl::flush_queue_>;
template struct PrivateMember<UnscheduledFlushes, &DBImpl::unscheduled_flushes_>;
template struct PrivateMember<WaitForBackgroundWork, &DBImpl::WaitForBackgroundWork>;
template struct PrivateMember<WalIsEmpty, &DBImpl::wal_empty_>;

void prepare_resume(DBImpl &database)
{
    rocksdb::InstrumentedMutexLock lock(&(database.*member_of(Mutex())));
    if (!(database.*member_of(ErrorHandler())).IsDBStopped())
        return;
    (database.*member_of(WaitForBackgroundWork()))();

    // Resuming flushes all memtables and waits for that. A flush request that was queued when the
    // database halted is never served, but keeps the request of the resume out of the queue, which
    // would then wait forever. RocksDB's own recovery empties the queue too.
    auto &queue = database.*member_of(FlushQueue());
    for (const auto &request : queue) {
        for (const auto &[family, last] : request.cfd_to_max_mem_id_to_persist) {
            family->set_queued_for_flush(false);
            family->UnrefAndTryDelete();
        }
    }
    queue.clear();
    database.*member_of(UnscheduledFlushes()) = 0;

    // Resuming starts a new log unless the log is empty. But after a failed sync, nothing can be
    // written to an empty log either, and each sync of it halts the database again.
    database.*member_of(WalIsEmpty()) = false;
}

} // namespace

extern "C" {

// Makes errors of the file system recoverable. When a compaction finds too little disk space, sets
// `compaction_space` to the bytes that must be free before compactions are enabled again.
void kvds_rocksdb_listen(rocksdb_options_t *options, std::uint64_t *compaction_space)
{
    options->rep.listeners.push_back(std::make_shared<Listener>(compaction_space));
}

std::size_t kvds_rocksdb_enable_compactions(rocksdb_t *database, char *text, std::size_t capacity)
{
    return write_error(set_auto_compactions(*database->rep, true), text, capacity);
}

// Compacts all tables and returns the error, which RocksDB's C interface does not.
std::size_t kvds_rocksdb_compact(rocksdb_t *database, char *text, std::size_t capacity)
{
    return write_error(
        database->rep->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr), text,
        capacity);
}

// Prepares a halted database for a resume. When it returns, nothing runs in the background.
std::size_t kvds_rocksdb_prepare_resume(rocksdb_t *database, char *text, std::size_t capacity)
{
    // A writer that waits for a flush gives up when it sees the error, but not when it sees a
    // resume in progress, which would wait for the writer. So the writers pass first.
    Status status = database->rep->LockWAL();
    if (status.ok())
        status = database->rep->UnlockWAL();
    if (status.ok())
        prepare_resume(static_cast<DBImpl &>(*database->rep->GetRootDB()));
    return write_error(status, text, capacity);
}

// Resumes a halted database. The caller excludes syncs, flushes and compactions meanwhile.
std::size_t kvds_rocksdb_resume(rocksdb_t *database, char *text, std::size_t capacity)
{
    return write_error(database->rep->Resume(), text, capacity);
}
}
