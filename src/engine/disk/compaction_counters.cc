// Counts compactions. See op_counters.rs.

#include <atomic>
#include <cstdint>
#include <memory>

#include <rocksdb/listener.h>

#include "interface.h"

namespace {

class Counter : public rocksdb::EventListener {
public:
    Counter(std::uint64_t *running, std::uint64_t *completed)
        : running(running), completed(completed)
    {}

private:
    std::uint64_t *running;
    std::uint64_t *completed;

    void OnCompactionBegin(rocksdb::DB *, const rocksdb::CompactionJobInfo &) override
    {
        std::atomic_ref(*running).fetch_add(1);
    }

    // RocksDB calls this for each compaction whose begin it reported, also for one that failed.
    void OnCompactionCompleted(rocksdb::DB *, const rocksdb::CompactionJobInfo &) override
    {
        std::atomic_ref(*running).fetch_sub(1);
        std::atomic_ref(*completed).fetch_add(1);
    }
};

} // namespace

extern "C" {

// Counts the compactions of a database that is opened with `options`. The counters outlive it.
void kvds_rocksdb_count_compactions(rocksdb_options_t *options, std::uint64_t *running,
                                    std::uint64_t *completed)
{
    options->rep.listeners.push_back(std::make_shared<Counter>(running, completed));
}
}
