// RocksDB's Env, one for each process: its threads, and how files are opened, locked and synced.
//
// RocksDB's default Env survives every fork. A child inherits its thread pools without the threads,
// with mutexes that those threads may hold and condition variables that count them as waiting. So
// every process gets an Env with pools of its own; see env.rs.

#include <cerrno>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <db/periodic_task_scheduler.h>
#include <env/composite_env_wrapper.h>
#include <env/io_posix.h>
#include <rocksdb/file_system.h>
#include <util/thread_local.h>
#include <util/threadpool_imp.h>

#include "interface.h"
#include "private_member.h"

namespace rocksdb {

// util/thread_local.cc declares this class. Only this function is used here.
class ThreadLocalPtr::StaticMeta {
public:
    static port::Mutex *Mutex();
};

// RocksDB runs periodic tasks on one more thread, behind a mutex that a fork may leave locked. A
// store of kvds has two: one flushes the file of RocksDB's messages, which does not exist, and one
// looks twice a day for tables that are a month old, as every flush and compaction does too. So
// these definitions replace db/periodic_task_scheduler.cc, which the build of kvds leaves out. They
// are weak for a program whose workspace lets librocksdb-sys compile RocksDB: there the linker may
// see RocksDB's definitions first and then takes those.
__attribute__((weak)) Status PeriodicTaskScheduler::Register(PeriodicTaskType,
                                                             const PeriodicTaskFunc &, bool)
{
    return Status::OK();
}

__attribute__((weak)) Status
PeriodicTaskScheduler::Register(PeriodicTaskType, const PeriodicTaskFunc &, uint64_t, bool)
{
    return Status::OK();
}

__attribute__((weak)) Status PeriodicTaskScheduler::Unregister(PeriodicTaskType)
{
    return Status::OK();
}

__attribute__((weak)) Timer *PeriodicTaskScheduler::Default() { return nullptr; }

} // namespace rocksdb

namespace {

using rocksdb::DirFsyncOptions;
using rocksdb::Env;
using rocksdb::FileLock;
using rocksdb::FileOptions;
using rocksdb::FileSystem;
using rocksdb::FSDirectory;
using rocksdb::FSRandomAccessFile;
using rocksdb::FSSequentialFile;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

template <typename File>
struct Descriptor {
    friend auto member_of(Descriptor);
};
template struct PrivateMember<Descriptor<rocksdb::PosixDirectory>, &rocksdb::PosixDirectory::fd_>;
template struct PrivateMember<Descriptor<rocksdb::PosixRandomAccessFile>,
                              &rocksdb::PosixRandomAccessFile::fd_>;
template struct PrivateMember<Descriptor<rocksdb::PosixSequentialFile>,
                              &rocksdb::PosixSequentialFile::fd_>;
template struct PrivateMember<Descriptor<rocksdb::PosixWritableFile>,
                              &rocksdb::PosixWritableFile::fd_>;

template <typename Posix, typename File>
int descriptor_of(File &file)
{
    auto posix = dynamic_cast<Posix *>(&file);
    return posix ? posix->*member_of(Descriptor<Posix>()) : -1;
}

// Opens a file, and again if it gets the descriptor of a standard stream that the program has
// closed: otherwise the program's output would go into the file. /dev/null then replaces the first
// descriptor.
template <typename Posix, typename File, typename Open>
IOStatus open_above_streams(std::unique_ptr<File> *result, Open open)
{
    // One attempt for each stream is enough, unless the program closes streams meanwhile.
    constexpr int ATTEMPTS = 16;
    std::vector<std::unique_ptr<File>> replaced;
    for (int attempt = 1;; attempt++) {
        IOStatus status = open();
        if (!status.ok() || attempt == ATTEMPTS)
            return status;
        const int file = descriptor_of<Posix>(**result);
        if (file < 0 || file > STDERR_FILENO)
            return status;
        const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0)
            return IOStatus::IOError("While opening /dev/null",
                                     std::generic_category().message(errno));
        dup3(null, file, O_CLOEXEC);
        close(null);
        replaced.push_back(std::move(*result));
    }
}

// Returns whether the file `path` holds RocksDB's options, also under the name that it has while it
// is written. RocksDB writes one at each opening, and no opening reads it. So it need not survive a
// power failure, and its two syncs would be a third of an opening.
bool is_options_file(const std::string &path)
{
    return path.compare(path.rfind('/') + 1, 8, "OPTIONS-") == 0;
}

class UnsyncedFile : public rocksdb::FSWritableFileOwnerWrapper {
public:
    using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;

    IOStatus Sync(const IOOptions &, IODebugContext *) override { return IOStatus::OK(); }
    IOStatus Fsync(const IOOptions &, IODebugContext *) override { return IOStatus::OK(); }
};

// Warns that a directory cannot be synced.
using WarnUnsynced = void (*)(const char *path, std::size_t len);

class Directory : public rocksdb::FSDirectoryWrapper {
public:
    Directory(std::unique_ptr<FSDirectory> &&target, const std::string &path,
              WarnUnsynced warn_unsynced)
        : Directory(target.get(), std::move(target), path, warn_unsynced)
    {}

    IOStatus Fsync(const IOOptions &options, IODebugContext *debug) override
    {
        return allow_unsyncable(FSDirectoryWrapper::Fsync(options, debug));
    }

    IOStatus FsyncWithDirOptions(const IOOptions &options, IODebugContext *debug,
                                 const DirFsyncOptions &how) override
    {
        if (how.reason == DirFsyncOptions::kFileRenamed && is_options_file(how.renamed_new_name))
            return IOStatus::OK();
        return allow_unsyncable(FSDirectoryWrapper::FsyncWithDirOptions(options, debug, how));
    }

private:
    Directory(FSDirectory *target, std::unique_ptr<FSDirectory> &&owned, const std::string &path,
              WarnUnsynced warn_unsynced)
        : FSDirectoryWrapper(std::move(owned)), target(target), path(path),
          warn_unsynced(warn_unsynced)
    {}

    // RocksDB does not return the error number, so the sync is repeated to get it.
    IOStatus allow_unsyncable(IOStatus status)
    {
        if (status.ok())
            return status;
        const int file = descriptor_of<rocksdb::PosixDirectory>(*target);
        if (file < 0 || fsync(file) == 0 ||
            (errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS))
            return status;
        warn_unsynced(path.data(), path.size());
        return IOStatus::OK();
    }

    FSDirectory *target;
    std::string path;
    WarnUnsynced warn_unsynced;
};

class ProcessFileSystem : public rocksdb::FileSystemWrapper {
public:
    explicit ProcessFileSystem(WarnUnsynced warn_unsynced)
        : FileSystemWrapper(FileSystem::Default()), warn_unsynced(warn_unsynced)
    {}

    const char *Name() const override { return "kvds"; }

    IOStatus NewSequentialFile(const std::string &path, const FileOptions &options,
                               std::unique_ptr<FSSequentialFile> *result,
                               IODebugContext *debug) override
    {
        return open_above_streams<rocksdb::PosixSequentialFile>(result, [&] {
            return FileSystemWrapper::NewSequentialFile(path, options, result, debug);
        });
    }

    IOStatus NewRandomAccessFile(const std::string &path, const FileOptions &options,
                                 std::unique_ptr<FSRandomAccessFile> *result,
                                 IODebugContext *debug) override
    {
        return open_above_streams<rocksdb::PosixRandomAccessFile>(result, [&] {
            return FileSystemWrapper::NewRandomAccessFile(path, options, result, debug);
        });
    }

    IOStatus NewWritableFile(const std::string &path, const FileOptions &options,
                             std::unique_ptr<FSWritableFile> *result,
                             IODebugContext *debug) override
    {
        IOStatus status = open_above_streams<rocksdb::PosixWritableFile>(result, [&] {
            return FileSystemWrapper::NewWritableFile(path, options, result, debug);
        });
        if (status.ok() && is_options_file(path))
            *result = std::make_unique<UnsyncedFile>(std::move(*result));
        return status;
    }

    IOStatus ReopenWritableFile(const std::string &path, const FileOptions &options,
                                std::unique_ptr<FSWritableFile> *result,
                                IODebugContext *debug) override
    {
        return open_above_streams<rocksdb::PosixWritableFile>(result, [&] {
            return FileSystemWrapper::ReopenWritableFile(path, options, result, debug);
        });
    }

    IOStatus NewDirectory(const std::string &path, const IOOptions &options,
                          std::unique_ptr<FSDirectory> *result, IODebugContext *debug) override
    {
        std::unique_ptr<FSDirectory> opened;
        IOStatus status = open_above_streams<rocksdb::PosixDirectory>(&opened, [&] {
            return FileSystemWrapper::NewDirectory(path, options, &opened, debug);
        });
        if (status.ok())
            *result = std::make_unique<Directory>(std::move(opened), path, warn_unsynced);
        return status;
    }

    // On NotSupported RocksDB copies the file. Its own LinkFile returns that only for another
    // device.
    IOStatus LinkFile(const std::string &from, const std::string &to, const IOOptions &options,
                      IODebugContext *debug) override
    {
        if (link(from.c_str(), to.c_str()) == 0)
            return IOStatus::OK();
        switch (errno) {
        case EPERM:
        case EXDEV:
        case EMLINK:
        case ENOSYS:
        case EOPNOTSUPP: return IOStatus::NotSupported("This file system has no links");
        default: return FileSystemWrapper::LinkFile(from, to, options, debug);
        }
    }

    // lock.rs locks a store before RocksDB opens it, and until RocksDB has closed it. RocksDB's own
    // lock is in a list of paths, which a child inherits and never empties.
    IOStatus LockFile(const std::string &, const IOOptions &, FileLock **lock,
                      IODebugContext *) override
    {
        *lock = new FileLock;
        return IOStatus::OK();
    }

    IOStatus UnlockFile(FileLock *lock, const IOOptions &, IODebugContext *) override
    {
        delete lock;
        return IOStatus::OK();
    }

private:
    WarnUnsynced warn_unsynced;
};

// Never destroyed: its threads run until the process ends.
class ProcessEnv : public rocksdb::CompositeEnvWrapper {
public:
    explicit ProcessEnv(WarnUnsynced warn_unsynced)
        : CompositeEnvWrapper(Env::Default(), std::make_shared<ProcessFileSystem>(warn_unsynced))
    {
        for (int priority = 0; priority < Priority::TOTAL; priority++) {
            pools[priority].SetThreadPriority(static_cast<Priority>(priority));
            pools[priority].SetHostEnv(this);
        }
    }

    // Starts threads until there are `count`, or none on failure. Returns 0 or an error number.
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

    void Schedule(void (*run)(void *), void *argument, Priority priority, void *tag,
                  void (*drop)(void *)) override
    {
        pools[priority].Schedule(run, argument, tag, drop);
    }

    int UnSchedule(void *tag, Priority priority) override
    {
        return pools[priority].UnSchedule(tag);
    }

    unsigned int GetThreadPoolQueueLen(Priority priority) const override
    {
        return pools[priority].GetQueueLen();
    }

    int ReserveThreads(int count, Priority priority) override
    {
        return pools[priority].ReserveThreads(count);
    }

    int ReleaseThreads(int count, Priority priority) override
    {
        return pools[priority].ReleaseThreads(count);
    }

    int GetBackgroundThreads(Priority priority) override
    {
        return pools[priority].GetBackgroundThreads();
    }

    // Errors are ignored: the threads that a database needs are started before it is opened.
    void IncBackgroundThreadsIfNeeded(int count, Priority priority) override
    {
        grow(count, priority);
    }

    void SetBackgroundThreads(int count, Priority priority) override { grow(count, priority); }

    void LowerThreadPoolIOPriority(Priority priority) override
    {
        pools[priority].LowerIOPriority();
    }

    void LowerThreadPoolCPUPriority(Priority priority) override
    {
        pools[priority].LowerCPUPriority(rocksdb::CpuPriority::kLow);
    }

    rocksdb::Status LowerThreadPoolCPUPriority(Priority priority, rocksdb::CpuPriority how) override
    {
        pools[priority].LowerCPUPriority(how);
        return rocksdb::Status::OK();
    }

    // RocksDB keeps the status of threads in one list behind a mutex, which a fork may leave
    // locked. kvds does not read it.
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

// One mutex protects RocksDB's thread-local variables. A fork waits for it, because the child could
// wait forever.
void before_fork() { rocksdb::ThreadLocalPtr::StaticMeta::Mutex()->Lock(); }

void after_fork() { rocksdb::ThreadLocalPtr::StaticMeta::Mutex()->Unlock(); }

} // namespace

extern "C" {

// Creates an Env without threads, which is never destroyed. `warn_unsynced` is called from any
// thread, under locks of RocksDB.
void *kvds_rocksdb_env_new(WarnUnsynced warn_unsynced)
{
    static const int registered = pthread_atfork(before_fork, after_fork, after_fork);
    (void)registered;
    return new ProcessEnv(warn_unsynced);
}

// Starts the threads that a database needs: one that flushes and one that compacts. Returns 0 or an
// error number.
int kvds_rocksdb_env_start_threads(void *env)
{
    auto &threads = *static_cast<ProcessEnv *>(env);
    const int error = threads.grow(1, Env::Priority::HIGH);
    return error != 0 ? error : threads.grow(1, Env::Priority::LOW);
}

void kvds_rocksdb_env_use(void *env, rocksdb_options_t *options)
{
    options->rep.env = static_cast<ProcessEnv *>(env);
}
}
