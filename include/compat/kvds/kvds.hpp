/*
 * kvds for programs that were written against the original C++ package: they are compiled as they are, with the directory
 * that this file's directory is in as one more include directory, and linked with kvds. docs/migrating.md says what differs.
 * New programs include kvds.hpp beside kvds.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef KVDS_COMPAT_KVDS_KVDS_HPP
#define KVDS_COMPAT_KVDS_KVDS_HPP

#include "../types/lifetime.hpp"
#include "../types/shared_obj.hpp"
#include "front.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace kvds {

/**
 * Hands out stores by name, and keeps each until it is destroyed itself: the data of a memory store outlives the program's
 * references to it. References that outlive the distributor go on. Threads: any, all calls at the same time.
 */
class kv_c_distributor_c {
    /** A store that the distributor keeps, the same object for all who ask for it. */
    class kept_c final : public pkg::types::shared_c, public detail::front_c {
    public:
        explicit kept_c(shared_obj_c<store_c> store) noexcept : store_(std::move(store)) {}

    private:
        shared_obj_c<store_c> store() const override { return store_; }

        const shared_obj_c<store_c> store_;
    };

public:
    /** Where a store keeps its data. */
    enum class kv_c_backend_e {
        MEMORY = 0, /**< In memory. */
        DISK = 1    /**< In a directory under the distributor's path. */
    };

    /** With disk stores in directories under `path`, which is made with the first; "" is the current directory. */
    kv_c_distributor_c(const std::string &path) : path_(path.empty() ? "." : path), distributor_(path_) {}

    kv_c_distributor_c(const kv_c_distributor_c &) = delete;
    kv_c_distributor_c &operator=(const kv_c_distributor_c &) = delete;

    /**
     * The store of this name and backend, made if there is none. All threads get the same object, so references can be
     * compared, and so can the pointers that get() gives. Empty if it cannot be made: last_error() says why. Bytes of the id
     * outside `A-Z a-z 0-9 . _ -` are percent-encoded in the name of its directory.
     */
    std::optional<pkg::types::shared_obj_c<kept_c>> get_or_create_kv_c(const std::string &id, kv_c_backend_e backend)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto known = stores_.find({backend, id});
        if (known != stores_.end()) return known->second;
        // A path that was refused is refused again, so that this thread hears why.
        if (!distributor_) distributor_ = distributor_c(path_);
        if (!distributor_) return std::nullopt;
        auto store = distributor_.get_or_create(id, static_cast<kvds::backend>(backend));
        if (!store) return std::nullopt;
        const auto kept = pkg::types::make_shared<kept_c>(std::move(*store));
        stores_.emplace(std::pair(backend, id), kept);
        return kept;
    }

private:
    const std::string path_;
    distributor_c distributor_;
    std::mutex mutex_;
    std::map<std::pair<kv_c_backend_e, std::string>, pkg::types::shared_obj_c<kept_c>> stores_;
};

} // namespace kvds

#endif /* KVDS_COMPAT_KVDS_KVDS_HPP */
