// What RocksDB has for going on after an error, and its C interface has not.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <db/db_impl/db_impl.h>
#include <rocksdb/listener.h>

#include "interface.h"

namespace {

using rocksdb::BackgroundErrorReason;
using rocksdb::DBImpl;
using rocksdb::Status;

// Has tables be merged in the background, or not.
Status merge(rocksdb::DB &database, bool automatically)
{
    return database.SetOptions(
        { { "disable_auto_compactions", automatically ? "false" : "true" } });
}

class Listener : public rocksdb::EventListener {
public:
    explicit Listener(std::uint64_t *room) : room(room) {}

private:
    std::uint64_t *room;

    // RocksDB takes most errors of the file system for the end of the database, and a full disk and
    // errors of file systems that tell whether trying again helps for a halt. Resuming from a halt
    // is the same whatever the error was: what is in memory goes to a new table file, and the files
    // in which writing failed are not written again. So all are a halt.
    void OnBackgroundError(BackgroundErrorReason reason, Status *error) override
    {
        // That there is no room to merge tables is no reason not to write.
        if (reason == BackgroundErrorReason::kCompaction && error->IsNoSpace()) {
            *error = Status::OK();
            return;
        }
        if (error->IsIOError() && !error->IsIOFenced() &&
            error->severity() < Status::Severity::kUnrecoverableError)
            *error = Status(*error, Status::Severity::kHardError);
    }

    // Where there is no room for it, a merge would be tried again every second and take what is
    // left of the disk meanwhile. So there is none until as much is free as this one needs.
    void OnCompactionCompleted(rocksdb::DB *database,
                               const rocksdb::CompactionJobInfo &info) override
    {
        if (!info.status.IsNoSpace())
            return;
        std::atomic_ref(*room).store(std::max<std::uint64_t>(info.stats.total_input_bytes, 1));
        merge(*database, false);
    }

    // Looking every five seconds whether there is room again is no help for who has just made it,
    // and keeps others from resuming meanwhile.
    void OnErrorRecoveryBegin(BackgroundErrorReason, Status, bool *automatic) override
    {
        *automatic = false;
    }
};

// Names for what is private: instantiating a template explicitly is the one place in C++ where
// access is not checked.
template <typename Name, auto member>
struct Private {
    friend auto member_of(Name) { return member; }
};
struct Mutex {
    friend auto member_of(Mutex);
};
struct Errors {
    friend auto member_of(Errors);
};
struct Queue {
    friend auto member_of(Queue);
};
struct Unscheduled {
    friend auto member_of(Unscheduled);
};
struct Wait {
    friend auto member_of(Wait);
};
struct LogIsEmpty {
    friend auto member_of(LogIsEmpty);
};
template struct Private<Mutex, &DBImpl::mutex_>;
template struct Private<Errors, &DBImpl::error_handler_>;
template struct Private<Queue, &DBImpl::flush_queue_>;
template struct Private<Unscheduled, &DBImpl::unscheduled_flushes_>;
template struct Private<Wait, &DBImpl::WaitForBackgroundWork>;
template struct Private<LogIsEmpty, &DBImpl::wal_empty_>;

// Makes a halted database ready to be resumed.
void prepare(DBImpl &database)
{
    rocksdb::InstrumentedMutexLock lock(&(database.*member_of(Mutex())));
    if (!(database.*member_of(Errors())).IsDBStopped())
        return;
    (database.*member_of(Wait()))();

    // Resuming flushes all tables, and waits for that; but a request to flush that was in the queue
    // already when the database was halted either is dropped or has nobody who looks at it, while
    // it keeps the one for resuming out: then it waits for ever. RocksDB has this right where it
    // resumes by itself.
    auto &queue = database.*member_of(Queue());
    for (const auto &request : queue) {
        for (const auto &[family, last] : request.cfd_to_max_mem_id_to_persist) {
            family->set_queued_for_flush(false);
            family->UnrefAndTryDelete();
        }
    }
    queue.clear();
    database.*member_of(Unscheduled()) = 0;

    // Resuming begins a new log, unless the log is empty. But when syncing it has failed, nothing
    // can be written to an empty one either, and each sync of it halts the database again.
    database.*member_of(LogIsEmpty()) = false;
}

} // namespace

extern "C" {

// `room` becomes how much has to be free before tables are merged again, when there was too little.
void kvds_rocksdb_listen(rocksdb_options_t *options, std::uint64_t *room)
{
    options->rep.listeners.push_back(std::make_shared<Listener>(room));
}

// There is enough room to merge tables.
std::size_t kvds_rocksdb_enable_compactions(rocksdb_t *database, char *text, std::size_t capacity)
{
    return tell(merge(*database->rep, true), text, capacity);
}

// Merges all tables, and says why that fails, which RocksDB's C interface keeps to itself.
std::size_t kvds_rocksdb_compact(rocksdb_t *database, char *text, std::size_t capacity)
{
    return tell(database->rep->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr), text,
                capacity);
}

// Makes a halted database ready to be resumed. When it returns, nothing goes on in the background.
std::size_t kvds_rocksdb_prepare_resume(rocksdb_t *database, char *text, std::size_t capacity)
{
    // A writer that waits for tables to be flushed gives up when it sees the error, but not if it
    // sees that resuming has begun, and that would wait for the writer. So writers are let pass
    // first.
    Status status = database->rep->LockWAL();
    if (status.ok())
        status = database->rep->UnlockWAL();
    if (status.ok())
        prepare(static_cast<DBImpl &>(*database->rep->GetRootDB()));
    return tell(status, text, capacity);
}

// Resumes it. Nothing else than reading and writing goes on meanwhile.
std::size_t kvds_rocksdb_resume(rocksdb_t *database, char *text, std::size_t capacity)
{
    return tell(database->rep->Resume(), text, capacity);
}
}
