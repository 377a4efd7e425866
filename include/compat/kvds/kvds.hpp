/*
 * kvds for programs that were written against the original C++ package: they are compiled as they
 * are, with the directory that this file's directory is in as the first include directory, and
 * linked with kvds. docs/migrating.md says what differs. New programs include kvds.hpp beside
 * kvds.h.
 *
 * KVDS_COMPAT_SHARED_PTR, defined before the first include of these headers, makes the
 * distributor's references std::shared_ptr<kvds::kv_c>, as they are in the original since late
 * 2025.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "order.hpp"

#if defined(KVDS_COMPAT_PROBE)
#define KVDS_COMPAT_FOUND_KVDS
#elif !defined(KVDS_COMPAT_KVDS_KVDS_HPP)
#define KVDS_COMPAT_KVDS_KVDS_HPP
#ifdef KVDS_COMPAT_SHARED_PTR
#define KVDS_COMPAT_SHARED_PTR_IN_USE
#endif

#include "../types/lifetime.hpp"
#include "../types/shared_obj.hpp"
#include "front.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace kvds {

namespace detail {

/** A store that the distributor keeps: one object for all who ask for the store. Owned by std::shared_ptr. */
class kept_c final : public front_c, public std::enable_shared_from_this<kept_c> {
public:
    /** In front of `store`. */
    explicit kept_c(shared_obj_c<store_c> store) noexcept : front_store_(std::move(store)) {}

    /** Returns the number of references, of all kinds, the distributor's own included. */
    std::int64_t refCount() const noexcept { return weak_from_this().use_count(); }

private:
    shared_obj_c<store_c> front_held() const override { return front_store_; }

    const shared_obj_c<store_c> front_store_;
};

} // namespace detail

/**
 * A counted reference to a store that the distributor keeps. It is a std::shared_ptr as well, and
 * shares its count with those that are made of it: a std::weak_ptr made of it expires with the last
 * reference of all.
 */
template <>
class shared_obj_c<detail::kept_c> : public std::shared_ptr<detail::kept_c> {
public:
    /** Refers to nothing. */
    shared_obj_c() noexcept = default;
    /** One more reference to what a std::shared_ptr refers to. */
    shared_obj_c(std::shared_ptr<detail::kept_c> other) noexcept : shared_ptr(std::move(other)) {}
    /** One more reference to a store that there are references to; NULL refers to nothing. */
    shared_obj_c(detail::kept_c *store) : shared_ptr(store ? store->shared_from_this() : nullptr) {}

    /** The store, or NULL: another name of get(). */
    detail::kept_c *ptr() const noexcept { return get(); }
    /** Gives up the reference. */
    void reset() noexcept { shared_ptr::reset(); }
    /** Gives up the reference, and takes one to another store. */
    void reset(detail::kept_c *store) { *this = shared_obj_c(store); }
    /** Whether there is a store. To bool alone: a reference is no number. */
    template <class Bool, class = detail::if_bool<Bool>>
    operator Bool() const noexcept
    {
        return get() != nullptr;
    }
};

/**
 * Hands out stores by name, and keeps each until it is destroyed itself: the data of a memory store
 * outlives the program's references to it. References that outlive the distributor go on. Threads:
 * any, all calls at the same time.
 */
class kv_c_distributor_c {
public:
    /** Where a store keeps its data. */
    enum class kv_c_backend_e {
        MEMORY = 0, /**< In memory. */
        DISK = 1    /**< In a directory under the distributor's path. */
    };

    /** With disk stores in directories under `path`, which is made with the first; "" is the current directory. */
    kv_c_distributor_c(const std::string &path) : path_(path.empty() ? "." : path), disk_(path_) {}

    kv_c_distributor_c(const kv_c_distributor_c &) = delete;
    kv_c_distributor_c &operator=(const kv_c_distributor_c &) = delete;

    /**
     * The store of this name and backend, made if there is none. All threads get the same object,
     * so references can be compared, and so can the pointers that get() gives. Empty if it cannot
     * be made: last_error() says why.
     *
     * The id of a memory store is any bytes, of any number. That of a disk store is UTF-8, not
     * empty, and has no zero byte; bytes outside `A-Z a-z 0-9 . _ -` are percent-encoded in the
     * name of its directory.
     */
#ifdef KVDS_COMPAT_SHARED_PTR
    // The tag makes this another symbol than the function below, which other files of the program
    // may have compiled. All else of the class is the same in both, so that they can pass each
    // other their distributors.
    [[gnu::abi_tag("shared_ptr")]] std::optional<std::shared_ptr<kv_c>>
    get_or_create_kv_c(const std::string &id, kv_c_backend_e backend)
    {
        return kept(id, backend);
    }
#else
    std::optional<pkg::types::shared_obj_c<detail::kept_c>>
    get_or_create_kv_c(const std::string &id, kv_c_backend_e backend)
    {
        return kept(id, backend);
    }
#endif

private:
    std::optional<std::shared_ptr<detail::kept_c>> kept(const std::string &id,
                                                        kv_c_backend_e backend)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto known = stores_.find({ backend, id });
        if (known != stores_.end())
            return known->second;
        // Memory stores have nothing to do with the path. One that was refused is refused again for
        // a disk store, so that last_error() of this thread says why.
        const bool in_memory = backend == kv_c_backend_e::MEMORY;
        if (!in_memory && !disk_)
            disk_ = distributor_c(path_);
        if (!in_memory && !disk_)
            return std::nullopt;
        const distributor_c &distributor = in_memory ? memory_ : disk_;
        auto store =
            distributor.get_or_create(name_of(id, backend), static_cast<kvds::backend>(backend));
        if (!store)
            return std::nullopt;
        auto kept = std::make_shared<detail::kept_c>(std::move(*store));
        stores_.emplace(std::pair(backend, id), kept);
        return kept;
    }

    /**
     * The id that the library gets. The id of a memory store may be any bytes: one that the library
     * does not take, such as one with a zero byte, is a number there, behind a byte with which no
     * other begins.
     */
    std::string name_of(const std::string &id, kv_c_backend_e backend) const
    {
        constexpr std::size_t max_len = 64 * 1024;
        constexpr char numbered = '\x01';
        const bool is_taken =
            !id.empty() && id.size() <= max_len && id.find('\0') == std::string::npos;
        if (backend != kv_c_backend_e::MEMORY || (is_taken && id[0] != numbered))
            return id;
        return numbered + std::to_string(stores_.size());
    }

    const std::string path_;
    const distributor_c memory_;
    distributor_c disk_;
    std::mutex mutex_;
    std::map<std::pair<kv_c_backend_e, std::string>, std::shared_ptr<detail::kept_c>> stores_;
};

} // namespace kvds

#elif defined(KVDS_COMPAT_SHARED_PTR) && !defined(KVDS_COMPAT_SHARED_PTR_IN_USE)
#error "define KVDS_COMPAT_SHARED_PTR before the first include of a header of include/compat"
#endif /* KVDS_COMPAT_KVDS_KVDS_HPP */
