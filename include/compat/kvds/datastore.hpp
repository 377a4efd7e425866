/*
 * The disk store of the original C++ package.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef KVDS_COMPAT_KVDS_DATASTORE_HPP
#define KVDS_COMPAT_KVDS_DATASTORE_HPP

#include "kvds.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

namespace kvds {

/** A store on disk. Closed at first. */
class datastore_c final : public detail::opened_c {
public:
    /**
     * Opens the database in the directory `path`, which is made if it is not there, with those above it. False if this is
     * open, if anyone else has the directory open, or if it cannot be opened: then last_error() says why.
     *
     * In the last part of the path, once symbolic links, `.` and `..` are resolved, bytes outside `A-Z a-z 0-9 . _ -` are
     * percent-encoded: "data/my db" is the directory "data/my%20db".
     */
    bool open(const std::string &path)
    {
        return open_with([&]() -> std::optional<shared_obj_c<store_c>> {
            const std::filesystem::path directory = resolved(path);
            const distributor_c distributor(directory.parent_path().string());
            if (!distributor) return std::nullopt;
            return distributor.get_or_create(directory.filename().string(), backend::disk);
        });
    }

private:
    /** The same directory, as one whose last part is its name. What cannot be resolved stays, for the library to refuse. */
    static std::filesystem::path resolved(const std::string &path)
    {
        if (path.empty()) return path;
        std::error_code failed;
        const std::filesystem::path absolute = std::filesystem::absolute(path, failed);
        const std::filesystem::path real = std::filesystem::weakly_canonical(absolute, failed);
        const std::filesystem::path &best = failed ? absolute : real;
        return best.has_filename() ? best : best.parent_path();
    }
};

} // namespace kvds

#endif /* KVDS_COMPAT_KVDS_DATASTORE_HPP */
