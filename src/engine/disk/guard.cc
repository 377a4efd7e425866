// The files of a store whose directory was moved, removed or replaced while it was open.
//
// RocksDB makes, replaces and removes files by name. Where another store has taken the place of its
// own, these would be files of that one. So a database opens its files through a file system that
// looks first whether the directory under the path is the one that was claimed.

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <sys/stat.h>

#include <env/composite_env_wrapper.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>

namespace {

using rocksdb::FileOptions;
using rocksdb::FileSystem;
using rocksdb::FSDirectory;
using rocksdb::FSRandomAccessFile;
using rocksdb::FSSequentialFile;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class GuardedFiles : public rocksdb::FileSystemWrapper {
public:
    GuardedFiles(const std::shared_ptr<FileSystem> &target, std::string path, int directory)
        : FileSystemWrapper(target), path(std::move(path)),
          claimed("/proc/self/fd/" + std::to_string(directory))
    {
        known = fstat(directory, &about) == 0;
    }

    const char *Name() const override { return "kvds-guard"; }

    // What changes files by name.

    IOStatus NewWritableFile(const std::string &file, const FileOptions &options,
                             std::unique_ptr<FSWritableFile> *result,
                             IODebugContext *debug) override
    {
        IOStatus status = check(file);
        return status.ok() ? FileSystemWrapper::NewWritableFile(file, options, result, debug)
                           : status;
    }

    IOStatus ReopenWritableFile(const std::string &file, const FileOptions &options,
                                std::unique_ptr<FSWritableFile> *result,
                                IODebugContext *debug) override
    {
        IOStatus status = check(file);
        return status.ok() ? FileSystemWrapper::ReopenWritableFile(file, options, result, debug)
                           : status;
    }

    IOStatus ReuseWritableFile(const std::string &file, const std::string &old,
                               const FileOptions &options, std::unique_ptr<FSWritableFile> *result,
                               IODebugContext *debug) override
    {
        IOStatus status = check(file);
        return status.ok() ? FileSystemWrapper::ReuseWritableFile(file, old, options, result, debug)
                           : status;
    }

    IOStatus NewRandomRWFile(const std::string &file, const FileOptions &options,
                             std::unique_ptr<rocksdb::FSRandomRWFile> *result,
                             IODebugContext *debug) override
    {
        IOStatus status = check(file);
        return status.ok() ? FileSystemWrapper::NewRandomRWFile(file, options, result, debug)
                           : status;
    }

    IOStatus DeleteFile(const std::string &file, const IOOptions &options,
                        IODebugContext *debug) override
    {
        IOStatus status = check(file);
        return status.ok() ? FileSystemWrapper::DeleteFile(file, options, debug) : status;
    }

    IOStatus Truncate(const std::string &file, std::size_t size, const IOOptions &options,
                      IODebugContext *debug) override
    {
        IOStatus status = check(file);
        return status.ok() ? FileSystemWrapper::Truncate(file, size, options, debug) : status;
    }

    IOStatus RenameFile(const std::string &from, const std::string &to, const IOOptions &options,
                        IODebugContext *debug) override
    {
        IOStatus status = check(from);
        if (status.ok())
            status = check(to);
        return status.ok() ? FileSystemWrapper::RenameFile(from, to, options, debug) : status;
    }

    // The new name is in a copy of the store.
    IOStatus LinkFile(const std::string &from, const std::string &to, const IOOptions &options,
                      IODebugContext *debug) override
    {
        IOStatus status = check(to);
        if (status.ok())
            status = check(from);
        return status.ok() ? FileSystemWrapper::LinkFile(from, to, options, debug) : status;
    }

    IOStatus SyncFile(const std::string &file, const FileOptions &options, const IOOptions &how,
                      bool data_and_metadata, IODebugContext *debug) override
    {
        IOStatus status = check(file);
        return status.ok()
                   ? FileSystemWrapper::SyncFile(file, options, how, data_and_metadata, debug)
                   : status;
    }

    IOStatus CreateDir(const std::string &directory, const IOOptions &options,
                       IODebugContext *debug) override
    {
        IOStatus status = check(directory);
        return status.ok() ? FileSystemWrapper::CreateDir(directory, options, debug) : status;
    }

    IOStatus CreateDirIfMissing(const std::string &directory, const IOOptions &options,
                                IODebugContext *debug) override
    {
        IOStatus status = check(directory);
        return status.ok() ? FileSystemWrapper::CreateDirIfMissing(directory, options, debug)
                           : status;
    }

    IOStatus DeleteDir(const std::string &directory, const IOOptions &options,
                       IODebugContext *debug) override
    {
        IOStatus status = check(directory);
        return status.ok() ? FileSystemWrapper::DeleteDir(directory, options, debug) : status;
    }

    // To sync it.
    IOStatus NewDirectory(const std::string &directory, const IOOptions &options,
                          std::unique_ptr<FSDirectory> *result, IODebugContext *debug) override
    {
        IOStatus status = check(directory);
        return status.ok() ? FileSystemWrapper::NewDirectory(directory, options, result, debug)
                           : status;
    }

    // What reads files by name goes on in the claimed directory.

    IOStatus NewSequentialFile(const std::string &file, const FileOptions &options,
                               std::unique_ptr<FSSequentialFile> *result,
                               IODebugContext *debug) override
    {
        return FileSystemWrapper::NewSequentialFile(found(file), options, result, debug);
    }

    IOStatus NewRandomAccessFile(const std::string &file, const FileOptions &options,
                                 std::unique_ptr<FSRandomAccessFile> *result,
                                 IODebugContext *debug) override
    {
        return FileSystemWrapper::NewRandomAccessFile(found(file), options, result, debug);
    }

    IOStatus FileExists(const std::string &file, const IOOptions &options,
                        IODebugContext *debug) override
    {
        return FileSystemWrapper::FileExists(found(file), options, debug);
    }

    IOStatus GetChildren(const std::string &directory, const IOOptions &options,
                         std::vector<std::string> *result, IODebugContext *debug) override
    {
        return FileSystemWrapper::GetChildren(found(directory), options, result, debug);
    }

    IOStatus GetChildrenFileAttributes(const std::string &directory, const IOOptions &options,
                                       std::vector<rocksdb::FileAttributes> *result,
                                       IODebugContext *debug) override
    {
        return FileSystemWrapper::GetChildrenFileAttributes(found(directory), options, result,
                                                            debug);
    }

    IOStatus GetFileSize(const std::string &file, const IOOptions &options, uint64_t *size,
                         IODebugContext *debug) override
    {
        return FileSystemWrapper::GetFileSize(found(file), options, size, debug);
    }

    IOStatus GetFileModificationTime(const std::string &file, const IOOptions &options,
                                     uint64_t *time, IODebugContext *debug) override
    {
        return FileSystemWrapper::GetFileModificationTime(found(file), options, time, debug);
    }

private:
    bool is_inside(const std::string &file) const
    {
        return file.compare(0, path.size(), path) == 0 &&
               (file.size() == path.size() || file[path.size()] == '/');
    }

    bool is_in_place() const
    {
        struct stat now;
        return known && stat(path.c_str(), &now) == 0 && now.st_dev == about.st_dev &&
               now.st_ino == about.st_ino;
    }

    IOStatus check(const std::string &file) const
    {
        if (!is_inside(file) || is_in_place())
            return IOStatus::OK();
        return IOStatus::IOError(
            "The store's directory was moved, removed or replaced while the store was open", file);
    }

    std::string found(const std::string &file) const
    {
        return !is_inside(file) || is_in_place() ? file : claimed + file.substr(path.size());
    }

    const std::string path;
    // The directory that was claimed, whatever its name is now.
    const std::string claimed;
    struct stat about;
    bool known;
};

} // namespace

// See error_recovery.cc.
struct rocksdb_options_t {
    rocksdb::Options rep;
};

extern "C" {

// Has a database that is opened with `options` in the directory `path`, which is open as
// `directory`, leave all others alone. What is returned must be freed after the database is closed,
// and before the directory is.
void *kvds_rocksdb_guard_new(rocksdb_options_t *options, const char *path, std::size_t len,
                         int directory)
{
    std::string name(path, len);
    while (name.size() > 1 && name.back() == '/')
        name.pop_back();
    rocksdb::Env *env = options->rep.env;
    auto files = std::make_shared<GuardedFiles>(env->GetFileSystem(), std::move(name), directory);
    auto guard = new rocksdb::CompositeEnvWrapper(env, std::move(files));
    options->rep.env = guard;
    return guard;
}

void kvds_rocksdb_guard_free(void *guard)
{
    delete static_cast<rocksdb::CompositeEnvWrapper *>(guard);
}
}
