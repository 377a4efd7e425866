// What RocksDB has for going on after an error, and its C interface has not.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>

namespace {

using rocksdb::BackgroundErrorReason;
using rocksdb::Status;

class Listener : public rocksdb::EventListener {
    // RocksDB takes most errors of the file system for the end of the database, and a full disk and errors of file systems
    // that tell whether trying again helps for a halt. Resuming from a halt is the same whatever the error was: what is in
    // memory goes to a new table file, and the files in which writing failed are not written again. So all are a halt.
    void OnBackgroundError(BackgroundErrorReason, Status *error) override
    {
        if (error->IsIOError() && !error->IsIOFenced() && error->severity() < Status::Severity::kUnrecoverableError)
            *error = Status(*error, Status::Severity::kHardError);
    }

    // Looking every five seconds whether there is room again is no help for who has just made it, and keeps others from
    // resuming meanwhile.
    void OnErrorRecoveryBegin(BackgroundErrorReason, Status, bool *automatic) override { *automatic = false; }
};

} // namespace

// The structs of RocksDB's C interface are not in its headers. These have nothing but this in them:
struct rocksdb_t {
    rocksdb::DB *rep;
};
struct rocksdb_options_t {
    rocksdb::Options rep;
};

extern "C" {

void kvds_rocksdb_listen(rocksdb_options_t *options)
{
    options->rep.listeners.push_back(std::make_shared<Listener>());
}

// Writes the text of an error to `text` and returns its length, 0 for success.
std::size_t kvds_rocksdb_resume(rocksdb_t *database, char *text, std::size_t capacity)
{
    const Status status = database->rep->Resume();
    if (status.ok())
        return 0;
    const std::string told = status.ToString();
    const std::size_t len = std::min(told.size(), capacity);
    std::memcpy(text, told.data(), len);
    return len;
}
}
