// What every process has of its own of what RocksDB keeps once for all: threads, and how files are
// opened, locked and synced.
//
// RocksDB's default Env lives from the first opening to the end, through every fork. A child
// inherits its pools of threads without the threads, with mutexes that they may hold and condition
// variables that count them as waiting. So every process gets an Env with pools of its own; see
// env.rs.

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
#include <rocksdb/options.h>
#include <util/thread_local.h>
#include <util/threadpool_imp.h>

namespace rocksdb {

// The part that is used here of what util/thread_local.cc has for itself.
class ThreadLocalPtr::StaticMeta {
public:
    static port::Mutex *Mutex();
};

// RocksDB runs its periodic tasks on one more thread, behind a mutex that a fork may leave locked.
// It has two of them for our stores: it flushes its log file, which there is none of, and looks
// twice a day whether tables are a month old, which every flush and compaction does too. So there
// is no such thread. These stand in for all of db/periodic_task_scheduler.cc, which the linker then
// leaves out. They are weak for programs that link the static library of cargo: there the linker
// may meet RocksDB's definitions first, and then takes those.
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

// Names for what is private: see error_recovery.cc.
template <typename Name, auto member>
struct Private {
    friend auto member_of(Name) { return member; }
};
template <typename File>
struct Descriptor {
    friend auto member_of(Descriptor);
};
template struct Private<Descriptor<rocksdb::PosixDirectory>, &rocksdb::PosixDirectory::fd_>;
template struct Private<Descriptor<rocksdb::PosixRandomAccessFile>,
                        &rocksdb::PosixRandomAccessFile::fd_>;
template struct Private<Descriptor<rocksdb::PosixSequentialFile>,
                        &rocksdb::PosixSequentialFile::fd_>;
template struct Private<Descriptor<rocksdb::PosixWritableFile>, &rocksdb::PosixWritableFile::fd_>;

template <typename Posix, typename File>
int descriptor_of(File &file)
{
    auto posix = dynamic_cast<Posix *>(&file);
    return posix ? posix->*member_of(Descriptor<Posix>()) : -1;
}

// Opens a file, and again if it got the descriptor of a standard stream, which the program has
// closed: what the program prints would go into the file. The first one then takes the place of the
// stream until there is a second one, with nothing in it.
template <typename Posix, typename File, typename Open>
IOStatus open_above_streams(std::unique_ptr<File> *result, Open open)
{
    // Each one is in the way of the next; a program that goes on closing them ends the attempts.
    constexpr int ATTEMPTS = 16;
    std::vector<std::unique_ptr<File>> below;
    for (int attempt = 1;; attempt++) {
        IOStatus status = open();
        if (!status.ok() || attempt == ATTEMPTS)
            return status;
        const int file = descriptor_of<Posix>(**result);
        if (file < 0 || file > STDERR_FILENO)
            return status;
        const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        if (nothing < 0)
            return IOStatus::IOError("While opening /dev/null",
                                     std::generic_category().message(errno));
        dup3(nothing, file, O_CLOEXEC);
        close(nothing);
        below.push_back(std::move(*result));
    }
}

// Tells that a directory cannot be synced.
using Unsynced = void (*)(const char *path, std::size_t len);

class Folder : public rocksdb::FSDirectoryWrapper {
public:
    Folder(std::unique_ptr<FSDirectory> &&target, const std::string &path, Unsynced unsynced)
        : Folder(target.get(), std::move(target), path, unsynced)
    {}

    IOStatus Fsync(const IOOptions &options, IODebugContext *debug) override
    {
        return judge(FSDirectoryWrapper::Fsync(options, debug));
    }

    IOStatus FsyncWithDirOptions(const IOOptions &options, IODebugContext *debug,
                                 const DirFsyncOptions &how) override
    {
        return judge(FSDirectoryWrapper::FsyncWithDirOptions(options, debug, how));
    }

private:
    Folder(FSDirectory *target, std::unique_ptr<FSDirectory> &&owned, const std::string &path,
           Unsynced unsynced)
        : FSDirectoryWrapper(std::move(owned)), target(target), path(path), unsynced(unsynced)
    {}

    // RocksDB keeps the number of the error to itself. Where directories can't be synced at all, it
    // is the same again.
    IOStatus judge(IOStatus status)
    {
        if (status.ok())
            return status;
        const int file = descriptor_of<rocksdb::PosixDirectory>(*target);
        if (file < 0 || fsync(file) == 0 ||
            (errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS))
            return status;
        unsynced(path.data(), path.size());
        return IOStatus::OK();
    }

    FSDirectory *target;
    std::string path;
    Unsynced unsynced;
};

class Files : public rocksdb::FileSystemWrapper {
public:
    explicit Files(Unsynced unsynced) : FileSystemWrapper(FileSystem::Default()), unsynced(unsynced)
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
        return open_above_streams<rocksdb::PosixWritableFile>(result, [&] {
            return FileSystemWrapper::NewWritableFile(path, options, result, debug);
        });
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
            *result = std::make_unique<Folder>(std::move(opened), path, unsynced);
        return status;
    }

    // Where there are no links, RocksDB copies if it is told so; it knows that of other devices
    // alone.
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

    // The lock of a store is taken before RocksDB is called, and held until RocksDB has closed the
    // store: see lock.rs. RocksDB's own is kept in a list of paths, which a child inherits and
    // nobody there ever empties.
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
    Unsynced unsynced;
};

// Never destroyed: its threads run until the process ends.
class Threads : public rocksdb::CompositeEnvWrapper {
public:
    explicit Threads(Unsynced unsynced)
        : CompositeEnvWrapper(Env::Default(), std::make_shared<Files>(unsynced))
    {
        for (int priority = 0; priority < Priority::TOTAL; priority++) {
            pools[priority].SetThreadPriority(static_cast<Priority>(priority));
            pools[priority].SetHostEnv(this);
        }
    }

    // Has `count` threads at least, or as many as there were. Returns 0, or the number of the
    // error.
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

    // More threads are a gain and no need: there is one of each kind before a database is opened.
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

    // What threads are doing is kept in one list for all processes, behind a mutex; nobody asks for
    // it.
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

// RocksDB's thread-local variables are behind one mutex. A fork waits for it, as the child could
// never do.
void before_fork() { rocksdb::ThreadLocalPtr::StaticMeta::Mutex()->Lock(); }

void after_fork() { rocksdb::ThreadLocalPtr::StaticMeta::Mutex()->Unlock(); }

} // namespace

// See error_recovery.cc.
struct rocksdb_options_t {
    rocksdb::Options rep;
};

extern "C" {

// A new Env, without threads. It stays for as long as the process. `unsynced` is called from any
// thread, under locks of RocksDB's.
void *kvds_rocksdb_env_new(Unsynced unsynced)
{
    static const int watched = pthread_atfork(before_fork, after_fork, after_fork);
    (void)watched;
    return new Threads(unsynced);
}

// Has the threads that a database needs: one that flushes and one that compacts. Returns 0, or the
// number of the error.
int kvds_rocksdb_env_start_threads(void *env)
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
