// The file system of one store, which protects the files of other stores.
//
// RocksDB creates, replaces and deletes files by name. The directory of an open store can be moved
// or removed, and another store can take its place; RocksDB would then change the files of that
// one. So before each such call this compares the directory under the path with the locked one.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include <env/composite_env_wrapper.h>
#include <rocksdb/file_system.h>

#include "interface.h"

namespace {

using rocksdb::FileAttributes;
using rocksdb::FileOptions;
using rocksdb::FileSystem;
using rocksdb::FSDirectory;
using rocksdb::FSRandomAccessFile;
using rocksdb::FSRandomRWFile;
using rocksdb::FSSequentialFile;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

class GuardedFileSystem : public rocksdb::FileSystemWrapper {
public:
    GuardedFileSystem(const std::shared_ptr<FileSystem> &target, std::string path, int directory)
        : FileSystemWrapper(target), path(std::move(path)),
          by_descriptor("/proc/self/fd/" + std::to_string(directory))
    {
        is_known = fstat(directory, &locked) == 0;
    }

    const char *Name() const override { return "kvds-guard"; }

    // Calls that change files by name fail if the directory is not in place.

    IOStatus NewWritableFile(const std::string &file, const FileOptions &options,
                             std::unique_ptr<FSWritableFile> *result,
                             IODebugContext *debug) override
    {
        return change(&FileSystem::NewWritableFile, file, options, result, debug);
    }

    IOStatus ReopenWritableFile(const std::string &file, const FileOptions &options,
                                std::unique_ptr<FSWritableFile> *result,
                                IODebugContext *debug) override
    {
        return change(&FileSystem::ReopenWritableFile, file, options, result, debug);
    }

    IOStatus ReuseWritableFile(const std::string &file, const std::string &old,
                               const FileOptions &options, std::unique_ptr<FSWritableFile> *result,
                               IODebugContext *debug) override
    {
        return change(&FileSystem::ReuseWritableFile, file, old, options, result, debug);
    }

    IOStatus NewRandomRWFile(const std::string &file, const FileOptions &options,
                             std::unique_ptr<FSRandomRWFile> *result,
                             IODebugContext *debug) override
    {
        return change(&FileSystem::NewRandomRWFile, file, options, result, debug);
    }

    IOStatus DeleteFile(const std::string &file, const IOOptions &options,
                        IODebugContext *debug) override
    {
        return change(&FileSystem::DeleteFile, file, options, debug);
    }

    IOStatus Truncate(const std::string &file, std::size_t size, const IOOptions &options,
                      IODebugContext *debug) override
    {
        return change(&FileSystem::Truncate, file, size, options, debug);
    }

    IOStatus RenameFile(const std::string &from, const std::string &to, const IOOptions &options,
                        IODebugContext *debug) override
    {
        IOStatus status = check(to);
        return status.ok() ? change(&FileSystem::RenameFile, from, to, options, debug) : status;
    }

    // `to` is in a copy of the store.
    IOStatus LinkFile(const std::string &from, const std::string &to, const IOOptions &options,
                      IODebugContext *debug) override
    {
        IOStatus status = check(to);
        return status.ok() ? change(&FileSystem::LinkFile, from, to, options, debug) : status;
    }

    IOStatus SyncFile(const std::string &file, const FileOptions &options, const IOOptions &how,
                      bool data_and_metadata, IODebugContext *debug) override
    {
        return change(&FileSystem::SyncFile, file, options, how, data_and_metadata, debug);
    }

    IOStatus CreateDir(const std::string &directory, const IOOptions &options,
                       IODebugContext *debug) override
    {
        return change(&FileSystem::CreateDir, directory, options, debug);
    }

    IOStatus CreateDirIfMissing(const std::string &directory, const IOOptions &options,
                                IODebugContext *debug) override
    {
        return change(&FileSystem::CreateDirIfMissing, directory, options, debug);
    }

    IOStatus DeleteDir(const std::string &directory, const IOOptions &options,
                       IODebugContext *debug) override
    {
        return change(&FileSystem::DeleteDir, directory, options, debug);
    }

    // RocksDB opens a directory to sync it.
    IOStatus NewDirectory(const std::string &directory, const IOOptions &options,
                          std::unique_ptr<FSDirectory> *result, IODebugContext *debug) override
    {
        return change(&FileSystem::NewDirectory, directory, options, result, debug);
    }

    // Calls that read files by name continue in the locked directory.

    IOStatus NewSequentialFile(const std::string &file, const FileOptions &options,
                               std::unique_ptr<FSSequentialFile> *result,
                               IODebugContext *debug) override
    {
        return target()->NewSequentialFile(locate(file), options, result, debug);
    }

    IOStatus NewRandomAccessFile(const std::string &file, const FileOptions &options,
                                 std::unique_ptr<FSRandomAccessFile> *result,
                                 IODebugContext *debug) override
    {
        return target()->NewRandomAccessFile(locate(file), options, result, debug);
    }

    IOStatus FileExists(const std::string &file, const IOOptions &options,
                        IODebugContext *debug) override
    {
        return target()->FileExists(locate(file), options, debug);
    }

    IOStatus GetChildren(const std::string &directory, const IOOptions &options,
                         std::vector<std::string> *result, IODebugContext *debug) override
    {
        return target()->GetChildren(locate(directory), options, result, debug);
    }

    IOStatus GetChildrenFileAttributes(const std::string &directory, const IOOptions &options,
                                       std::vector<FileAttributes> *result,
                                       IODebugContext *debug) override
    {
        return target()->GetChildrenFileAttributes(locate(directory), options, result, debug);
    }

    IOStatus GetFileSize(const std::string &file, const IOOptions &options, std::uint64_t *size,
                         IODebugContext *debug) override
    {
        return target()->GetFileSize(locate(file), options, size, debug);
    }

    IOStatus GetFileModificationTime(const std::string &file, const IOOptions &options,
                                     std::uint64_t *time, IODebugContext *debug) override
    {
        return target()->GetFileModificationTime(locate(file), options, time, debug);
    }

private:
    // Calls a function of the wrapped file system if the directory of `file` is in place.
    template <typename... Rest>
    IOStatus change(IOStatus (FileSystem::*function)(const std::string &, Rest...),
                    const std::string &file, std::type_identity_t<Rest>... rest)
    {
        IOStatus status = check(file);
        return status.ok() ? (target()->*function)(file, rest...) : status;
    }

    bool is_inside(const std::string &file) const
    {
        return file.compare(0, path.size(), path) == 0 &&
               (file.size() == path.size() || file[path.size()] == '/');
    }

    bool is_in_place() const
    {
        struct stat found;
        return is_known && stat(path.c_str(), &found) == 0 && found.st_dev == locked.st_dev &&
               found.st_ino == locked.st_ino;
    }

    IOStatus check(const std::string &file) const
    {
        if (!is_inside(file) || is_in_place())
            return IOStatus::OK();
        return IOStatus::IOError(
            "The store's directory was moved, removed or replaced while the store was open", file);
    }

    std::string locate(const std::string &file) const
    {
        return !is_inside(file) || is_in_place() ? file : by_descriptor + file.substr(path.size());
    }

    const std::string path;
    // A path to the locked directory that does not depend on its name.
    const std::string by_descriptor;
    struct stat locked;
    bool is_known;
};

} // namespace

extern "C" {

// Restricts a database that is opened with `options` in the directory `path` to files in
// `directory`, the descriptor of that directory. The caller frees the result after the database is
// closed and before the descriptor is.
void *kvds_rocksdb_guard_new(rocksdb_options_t *options, const char *path, std::size_t len,
                             int directory)
{
    std::string name(path, len);
    while (name.size() > 1 && name.back() == '/')
        name.pop_back();
    rocksdb::Env *env = options->rep.env;
    auto files =
        std::make_shared<GuardedFileSystem>(env->GetFileSystem(), std::move(name), directory);
    auto guard = new rocksdb::CompositeEnvWrapper(env, std::move(files));
    options->rep.env = guard;
    return guard;
}

void kvds_rocksdb_guard_free(void *guard)
{
    delete static_cast<rocksdb::CompositeEnvWrapper *>(guard);
}
}
