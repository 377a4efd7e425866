// What every process has of its own of what RocksDB keeps once for all: threads, and how files are opened and locked.
//
// RocksDB's default Env lives from the first opening to the end, through every fork. A child inherits its pools of threads without
// the threads, with mutexes that they may hold and condition variables that count them as waiting. So every process gets an
// Env with pools of its own; see env.rs.

#include <mutex>
#include <new>
#include <system_error>

#include <pthread.h>

#include <db/periodic_task_scheduler.h>
#include <env/composite_env_wrapper.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <util/thread_local.h>
#include <util/threadpool_imp.h>

namespace rocksdb {

// The part that is used here of what util/thread_local.cc has for itself.
class ThreadLocalPtr::StaticMeta {
public:
    static port::Mutex *Mutex();
};

// RocksDB runs its periodic tasks on one more thread, behind a mutex that a fork may leave locked. It has two of them for our
// stores: it flushes its log file, which there is none of, and looks twice a day whether tables are a month old, which every
// flush and compaction does too. So there is no such thread. These stand in for all of db/periodic_task_scheduler.cc, which the
// linker then leaves out.
Status PeriodicTaskScheduler::Register(PeriodicTaskType, const PeriodicTaskFunc &, bool)
{
    return Status::OK();
}

Status PeriodicTaskScheduler::Register(PeriodicTaskType, const PeriodicTaskFunc &, uint64_t, bool)
{
    return Status::OK();
}

Status PeriodicTaskScheduler::Unregister(PeriodicTaskType)
{
    return Status::OK();
}

Timer *PeriodicTaskScheduler::Default()
{
    return nullptr;
}

} // namespace rocksdb

namespace {

using rocksdb::Env;
using rocksdb::FileLock;
using rocksdb::FileSystem;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

class Files : public rocksdb::FileSystemWrapper {
public:
    Files() : FileSystemWrapper(FileSystem::Default()) {}

    const char *Name() const override { return "kvds"; }

    // The lock of a store is taken before RocksDB is called, and held until RocksDB has closed the store: see lock.rs.
    // RocksDB's own is kept in a list of paths, which a child inherits and nobody there ever empties.
    IOStatus LockFile(const std::string &, const IOOptions &, FileLock **lock, IODebugContext *) override
    {
        *lock = new FileLock;
        return IOStatus::OK();
    }

    IOStatus UnlockFile(FileLock *lock, const IOOptions &, IODebugContext *) override
    {
        delete lock;
        return IOStatus::OK();
    }
};

// Never destroyed: its threads run until the process ends.
class Threads : public rocksdb::CompositeEnvWrapper {
public:
    Threads() : CompositeEnvWrapper(Env::Default(), std::make_shared<Files>())
    {
        for (int priority = 0; priority < Priority::TOTAL; priority++) {
            pools[priority].SetThreadPriority(static_cast<Priority>(priority));
            pools[priority].SetHostEnv(this);
        }
    }

    // Has `count` threads at least, or as many as there were. Returns 0, or the number of the error.
    int grow(int count, Priority priority)
    {
        std::lock_guard<std::mutex> lock(growing);
        auto &pool = pools[priority];
        const int before = pool.GetBackgroundThreads();
        int error = 0;
        try {
            pool.IncBackgroundThreadsIfNeeded(count);
        } catch (const std::system_error &cause) {
            error = cause.code().value();
        } catch (const std::bad_alloc &) {
            error = ENOMEM;
        }
        // A pool counts threads that it could not start, and would not try again.
        if (error != 0)
            pool.SetBackgroundThreads(before);
        return error;
    }

    void Schedule(void (*run)(void *), void *argument, Priority priority, void *tag, void (*drop)(void *)) override
    {
        pools[priority].Schedule(run, argument, tag, drop);
    }

    int UnSchedule(void *tag, Priority priority) override { return pools[priority].UnSchedule(tag); }

    unsigned int GetThreadPoolQueueLen(Priority priority) const override { return pools[priority].GetQueueLen(); }

    int ReserveThreads(int count, Priority priority) override { return pools[priority].ReserveThreads(count); }

    int ReleaseThreads(int count, Priority priority) override { return pools[priority].ReleaseThreads(count); }

    int GetBackgroundThreads(Priority priority) override { return pools[priority].GetBackgroundThreads(); }

    // More threads are a gain and no need: there is one of each kind before a database is opened.
    void IncBackgroundThreadsIfNeeded(int count, Priority priority) override { grow(count, priority); }

    void SetBackgroundThreads(int count, Priority priority) override { grow(count, priority); }

    void LowerThreadPoolIOPriority(Priority priority) override { pools[priority].LowerIOPriority(); }

    void LowerThreadPoolCPUPriority(Priority priority) override
    {
        pools[priority].LowerCPUPriority(rocksdb::CpuPriority::kLow);
    }

    rocksdb::Status LowerThreadPoolCPUPriority(Priority priority, rocksdb::CpuPriority how) override
    {
        pools[priority].LowerCPUPriority(how);
        return rocksdb::Status::OK();
    }

    // What threads are doing is kept in one list for all processes, behind a mutex; nobody asks for it.
    rocksdb::ThreadStatusUpdater *GetThreadStatusUpdater() const override { return nullptr; }

    rocksdb::Status GetThreadList(std::vector<rocksdb::ThreadStatus> *list) override
    {
        list->clear();
        return rocksdb::Status::OK();
    }

private:
    std::mutex growing;
    rocksdb::ThreadPoolImpl pools[Priority::TOTAL];
};

// RocksDB's thread-local variables are behind one mutex. A fork waits for it, as the child could never do.
void before_fork()
{
    rocksdb::ThreadLocalPtr::StaticMeta::Mutex()->Lock();
}

void after_fork()
{
    rocksdb::ThreadLocalPtr::StaticMeta::Mutex()->Unlock();
}

} // namespace

// See resume.cc.
struct rocksdb_options_t {
    rocksdb::Options rep;
};

extern "C" {

// A new Env, without threads. It stays for as long as the process.
void *kvds_rocksdb_env()
{
    static const int watched = pthread_atfork(before_fork, after_fork, after_fork);
    (void)watched;
    return new Threads;
}

// Has the threads that a database needs: one that flushes and one that compacts. Returns 0, or the number of the error.
int kvds_rocksdb_env_start(void *env)
{
    auto &threads = *static_cast<Threads *>(env);
    const int error = threads.grow(1, Env::Priority::HIGH);
    return error != 0 ? error : threads.grow(1, Env::Priority::LOW);
}

void kvds_rocksdb_env_use(void *env, rocksdb_options_t *options)
{
    options->rep.env = static_cast<Threads *>(env);
}
}
