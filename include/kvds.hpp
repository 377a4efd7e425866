/*
 * kvds for C++: the functions of kvds.h as C++17 classes, in this header alone.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     kvds::distributor_c distributor("/var/lib/app");
 *     auto users = distributor.get_or_create("users", kvds::backend::disk);
 *     if (!users || !(*users)->set("ada", "1815"))
 *         std::cerr << kvds::last_error() << '\n';
 *     for (auto [name, born] : (*users)->scan("a"))
 *         std::cout << name << ": " << born << '\n';
 *
 * What kvds.h says of a function holds for the function of the same name here. What is added to it:
 *
 * Answers. `true` or a value is yes. `false`, an empty optional or an empty object is a plain "no" or a failure; which of the
 * two, last_status() says, and last_error() has the text of a failure. Both belong to the calling thread.
 *
 * Bytes are std::string or std::string_view (or what converts to it), and may contain zeros. A string_view that is answered
 * says how long it is valid.
 *
 * Owners. Everything here gives back what it holds when it is destroyed. Stores and distributors are counted references:
 * to copy one is to share it. Values, options, batches and cursors can be moved only.
 *
 * Exceptions. The library throws none; std::bad_alloc can come from the strings and containers that are made here. An
 * exception that a callback throws stops the iteration and arrives at its caller. An observer or a log must not throw:
 * the program ends (std::terminate).
 */

#ifndef KVDS_HPP
#define KVDS_HPP

#include "kvds.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace kvds {

/* ------------------------------------------------------------------------------------------------ names for numbers */

/* Generated from abi/api.json by `cargo xtask declarations`, as far as END. */

/** The result of a call; `kvds_status`. */
enum class status : kvds_status {
    ok = KVDS_OK,                             /**< `KVDS_OK` */
    not_found = KVDS_NOT_FOUND,               /**< `KVDS_NOT_FOUND` */
    exists = KVDS_EXISTS,                     /**< `KVDS_EXISTS` */
    mismatch = KVDS_MISMATCH,                 /**< `KVDS_MISMATCH` */
    stopped = KVDS_STOPPED,                   /**< `KVDS_STOPPED` */
    truncated = KVDS_TRUNCATED,               /**< `KVDS_TRUNCATED` */
    invalid_argument = KVDS_INVALID_ARGUMENT, /**< `KVDS_INVALID_ARGUMENT` */
    closed = KVDS_CLOSED,                     /**< `KVDS_CLOSED` */
    denied = KVDS_DENIED,                     /**< `KVDS_DENIED` */
    locked = KVDS_LOCKED,                     /**< `KVDS_LOCKED` */
    io = KVDS_IO,                             /**< `KVDS_IO` */
    no_space = KVDS_NO_SPACE,                 /**< `KVDS_NO_SPACE` */
    corruption = KVDS_CORRUPTION,             /**< `KVDS_CORRUPTION` */
    no_memory = KVDS_NO_MEMORY,               /**< `KVDS_NO_MEMORY` */
    unsupported = KVDS_UNSUPPORTED,           /**< `KVDS_UNSUPPORTED` */
    busy = KVDS_BUSY,                         /**< `KVDS_BUSY` */
    unknown_outcome = KVDS_UNKNOWN_OUTCOME,   /**< `KVDS_UNKNOWN_OUTCOME` */
    forked = KVDS_FORKED,                     /**< `KVDS_FORKED` */
    internal = KVDS_INTERNAL,                 /**< `KVDS_INTERNAL` */
};

/** What an acknowledged write survives; `kvds_durability`. */
enum class durability : kvds_durability {
    process = KVDS_DURABILITY_PROCESS, /**< `KVDS_DURABILITY_PROCESS` */
    sync = KVDS_DURABILITY_SYNC,       /**< `KVDS_DURABILITY_SYNC` */
    none = KVDS_DURABILITY_NONE,       /**< `KVDS_DURABILITY_NONE` */
};

/** How table files are compressed; `kvds_compression`. */
enum class compression : kvds_compression {
    none = KVDS_COMPRESSION_NONE, /**< `KVDS_COMPRESSION_NONE` */
    lz4 = KVDS_COMPRESSION_LZ4,   /**< `KVDS_COMPRESSION_LZ4` */
    zstd = KVDS_COMPRESSION_ZSTD, /**< `KVDS_COMPRESSION_ZSTD` */
};

/** Where a store keeps its data; `kvds_backend`. */
enum class backend : kvds_backend {
    memory = KVDS_MEMORY, /**< `KVDS_MEMORY` */
    disk = KVDS_DISK,     /**< `KVDS_DISK` */
};

/** How important a log message is; `kvds_log_level`. */
enum class log_level : kvds_log_level {
    error = KVDS_LOG_ERROR, /**< `KVDS_LOG_ERROR` */
    warn = KVDS_LOG_WARN,   /**< `KVDS_LOG_WARN` */
    info = KVDS_LOG_INFO,   /**< `KVDS_LOG_INFO` */
    debug = KVDS_LOG_DEBUG, /**< `KVDS_LOG_DEBUG` */
};

/* END */

/** What a view allows; see store_c::view. */
enum class rights : int {
    read = KVDS_VIEW_READ,                        /**< `KVDS_VIEW_READ` */
    write = KVDS_VIEW_WRITE,                      /**< `KVDS_VIEW_WRITE` */
    read_write = KVDS_VIEW_READ | KVDS_VIEW_WRITE /**< both */
};

/** Figures of a store; `kvds_stats`. */
using stats = kvds_stats;

/* ------------------------------------------------------------------------------------------------- within the header */

/** What this header needs for itself; not for programs. */
namespace detail {

/** Anything that text can be taken from: std::string, std::string_view, a literal, a class that converts to a view. */
template <class Text>
using if_text = std::enable_if_t<std::is_convertible_v<const Text &, std::string_view>>;

/** Whether the texts in a container stay where they are when the loop over it goes on, so that views of them stay valid. */
template <class Container, class Element = decltype(*std::begin(std::declval<const Container &>()))>
inline constexpr bool keeps_texts =
    std::is_reference_v<Element> || std::is_trivially_destructible_v<Element>;

/** bool itself, for conversions that go no further. */
template <class Bool>
using if_bool = std::enable_if_t<std::is_same_v<Bool, bool>>;

inline status &last() noexcept
{
    thread_local status last = status::ok;
    return last;
}

inline status keep(kvds_status answer) noexcept { return last() = static_cast<status>(answer); }

inline bool ok(kvds_status answer) noexcept { return keep(answer) == status::ok; }

inline kvds_bytes bytes(std::string_view text) noexcept { return { text.data(), text.size() }; }

/** Text for C, which would cut it short at a zero: text that has one becomes what every function refuses as no UTF-8. */
inline const char *c_str(const std::string &text) noexcept
{
    return text.find('\0') == std::string::npos ? text.c_str() : "\xff";
}

/** The same for an id, which may be any bytes: an empty one is what every function refuses. */
inline const char *id_str(const std::string &id) noexcept
{
    return id.find('\0') == std::string::npos ? id.c_str() : "";
}

inline std::string_view text(const void *data, std::size_t len) noexcept
{
    return { static_cast<const char *>(data), len };
}

inline std::string_view text(const kvds_bytes &bytes) noexcept
{
    return text(bytes.data, bytes.len);
}

/** Calls a callback for C, which no exception may pass through: it is kept here, and stops the iteration. */
template <class Callback>
class relay_c {
public:
    explicit relay_c(Callback &callback) noexcept : callback_(callback) {}

    template <class... Arguments>
    int call(Arguments &&...arguments) noexcept
    {
#if defined(__cpp_exceptions)
        try {
            return callback_(std::forward<Arguments>(arguments)...) ? 1 : 0;
        } catch (...) {
            thrown_ = std::current_exception();
            return 0;
        }
#else
        return callback_(std::forward<Arguments>(arguments)...) ? 1 : 0;
#endif
    }

    /** To be called when the iteration has ended, with its answer. */
    bool end(kvds_status answer)
    {
        const status ended = keep(answer);
#if defined(__cpp_exceptions)
        if (thrown_)
            std::rethrow_exception(thrown_);
#endif
        return ended == status::ok || ended == status::stopped;
    }

private:
    Callback &callback_;
    std::exception_ptr thrown_;
};

/** Owns what C made and frees. */
template <class Handle, void (*release)(Handle *)>
struct release_with {
    void operator()(Handle *handle) const noexcept { release(handle); }
};

template <class Handle, void (*release)(Handle *)>
using owner = std::unique_ptr<Handle, release_with<Handle, release>>;

} // namespace detail

/* ------------------------------------------------------------------------------------------------- version and status */

/** The version of the library that is running; `kvds_version`. */
inline const char *version() noexcept { return kvds_version(); }

/** A status as its constant is spelt, such as "KVDS_NOT_FOUND"; `kvds_status_name`. */
inline const char *to_string(status status) noexcept
{
    return kvds_status_name(static_cast<kvds_status>(status));
}

/** What the last call of this thread through this header was answered. */
inline status last_status() noexcept { return detail::last(); }

/** The text of the last failure on this thread; `kvds_last_error`. Valid until the next failing call on this thread. */
inline const char *last_error() noexcept { return kvds_last_error(); }

/* -------------------------------------------------------------------------------------------------- shared and mortal */

/** What is shared by counted references: a class that derives from this can be held by shared_obj_c. Threads: any. */
class shared_c {
public:
    /** Nobody holds it yet. */
    shared_c() noexcept = default;
    virtual ~shared_c() = default;
    shared_c(const shared_c &) = delete;
    shared_c &operator=(const shared_c &) = delete;

    /** Counts one reference more. */
    const shared_c *acquire() const noexcept
    {
        references_.fetch_add(1, std::memory_order_relaxed);
        return this;
    }

    /** Counts one reference less and answers how many are left. Who gets 0 destroys the object. */
    std::int64_t release() const noexcept
    {
        return references_.fetch_sub(1, std::memory_order_acq_rel) - 1;
    }

    /** How many references there are; other threads may change it at any time. */
    std::int64_t refCount() const noexcept { return references_.load(std::memory_order_relaxed); }

private:
    mutable std::atomic<std::int64_t> references_{ 0 };
};

/**
 * A counted reference to an object that has its counter in itself (acquire, release, refCount), one pointer in size. The
 * last reference destroys the object. Threads: the counting is safe from any; one reference is for one thread at a time.
 */
template <class T>
class shared_obj_c {
public:
    /** The object's class, as std::shared_ptr names it. */
    using element_type = T;

    /** Refers to nothing. */
    shared_obj_c() noexcept = default;

    /** One more reference to an object, which was made with `new`. */
    shared_obj_c(T *object) noexcept : object_(object)
    {
        if (object_)
            object_->acquire();
    }

    /** One more reference to what the other refers to. */
    shared_obj_c(const shared_obj_c &other) noexcept : shared_obj_c(other.object_) {}

    /** Takes the other's reference over. */
    shared_obj_c(shared_obj_c &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}

    /** Refers to what the other refers to. */
    shared_obj_c &operator=(shared_obj_c other) noexcept
    {
        std::swap(object_, other.object_);
        return *this;
    }

    ~shared_obj_c()
    {
        if (object_ && object_->release() == 0)
            delete object_;
    }

    /** The object; there must be one. */
    T &operator*() const noexcept { return *object_; }

    /** The object; there must be one. */
    T *operator->() const noexcept { return object_; }

    /** The object, or NULL. Valid as long as a reference. */
    T *get() const noexcept { return object_; }

    /** The object, or NULL: another name of get(). */
    T *ptr() const noexcept { return object_; }

    /** Gives up the reference. */
    void reset() noexcept { shared_obj_c().swap(*this); }

    /** Gives up the reference, and takes one to another object. */
    void reset(T *object) noexcept { shared_obj_c(object).swap(*this); }

    /** Exchanges two references. */
    void swap(shared_obj_c &other) noexcept { std::swap(object_, other.object_); }

    /** Exchanges two references. */
    friend void swap(shared_obj_c &a, shared_obj_c &b) noexcept { a.swap(b); }

    /** Returns the number of references to the object; 0 without an object. */
    long use_count() const noexcept { return object_ ? static_cast<long>(object_->refCount()) : 0; }

    /** Whether there is an object. To bool alone: a reference is no number. */
    template <class Bool, class = detail::if_bool<Bool>>
    operator Bool() const noexcept
    {
        return object_ != nullptr;
    }

    /** Whether both refer to the same object. */
    bool operator==(const shared_obj_c &other) const noexcept { return object_ == other.object_; }

    /** Whether they refer to different objects. */
    bool operator!=(const shared_obj_c &other) const noexcept { return object_ != other.object_; }

    /** The order of containers: by address. */
    bool operator<(const shared_obj_c &other) const noexcept
    {
        return std::less<T *>()(object_, other.object_);
    }

    /** The order of containers: by address. */
    bool operator>(const shared_obj_c &other) const noexcept { return other < *this; }

    /** The order of containers: by address. */
    bool operator<=(const shared_obj_c &other) const noexcept { return !(other < *this); }

    /** The order of containers: by address. */
    bool operator>=(const shared_obj_c &other) const noexcept { return !(*this < other); }

    /** The order of owners, which is that of the objects. */
    bool owner_before(const shared_obj_c &other) const noexcept { return *this < other; }

    /** Whether both refer to the same object. */
    template <class U>
    friend bool operator==(const shared_obj_c &a, const std::shared_ptr<U> &b) noexcept
    {
        return a.object_ == b.get();
    }

    /** Whether both refer to the same object. */
    template <class U>
    friend bool operator==(const std::shared_ptr<U> &a, const shared_obj_c &b) noexcept
    {
        return b == a;
    }

    /** Whether they refer to different objects. */
    template <class U>
    friend bool operator!=(const shared_obj_c &a, const std::shared_ptr<U> &b) noexcept
    {
        return !(a == b);
    }

    /** Whether they refer to different objects. */
    template <class U>
    friend bool operator!=(const std::shared_ptr<U> &a, const shared_obj_c &b) noexcept
    {
        return !(b == a);
    }

    /**
     * Converts to a std::shared_ptr that holds one reference. Each conversion makes an owner of its
     * own: a std::weak_ptr to it expires with that owner, not with the object.
     */
    template <class Base, class = std::enable_if_t<std::is_convertible_v<T *, Base *>>>
    operator std::shared_ptr<Base>() const
    {
        if (!object_)
            return nullptr;
        return std::shared_ptr<Base>(std::make_shared<shared_obj_c>(*this), object_);
    }

private:
    T *object_ = nullptr;
};

/** A new object with one reference to it. For classes that derive from shared_c alone, so that std::make_shared stays. */
template <class T, class... Arguments, class = std::enable_if_t<std::is_base_of_v<shared_c, T>>>
shared_obj_c<T> make_shared(Arguments &&...arguments)
{
    return shared_obj_c<T>(new T(std::forward<Arguments>(arguments)...));
}

/** Tells an observer when it is destroyed; a copy tells of its own end. The observer must live longer. */
class lifetime_c {
public:
    /** Who is told. */
    class observer_if {
    public:
        virtual ~observer_if() = default;
        /** A lifetime has ended. */
        virtual void death_ind() = 0;
    };

    /** Begins a lifetime. */
    constexpr lifetime_c(observer_if &observer) noexcept : observer_(observer) {}
    /** Begins a lifetime of its own, with the same observer. */
    lifetime_c(const lifetime_c &) = default;
    ~lifetime_c() { observer_.death_ind(); }

private:
    observer_if &observer_;
};

/** lifetime_c with a number, by which one observer can tell many lifetimes apart. */
class lifetime_tagged_c {
public:
    /** Who is told. */
    class observer_if {
    public:
        virtual ~observer_if() = default;
        /** The lifetime with this tag has ended. */
        virtual void death_ind(const std::size_t tag) = 0;
    };

    /** Begins a lifetime. */
    constexpr lifetime_tagged_c(observer_if &observer, const std::size_t tag) noexcept
        : observer_(observer), tag_(tag)
    {}
    /** Begins a lifetime of its own, with the same observer and tag. */
    lifetime_tagged_c(const lifetime_tagged_c &) = default;
    ~lifetime_tagged_c() { observer_.death_ind(tag_); }

private:
    observer_if &observer_;
    const std::size_t tag_;
};

/* --------------------------------------------------------------------------------------------------------- interfaces */

/** What is known of a store. */
class kv_stat {
public:
    virtual ~kv_stat() = default;
    /** Whether it can be used. */
    virtual bool is_open() const = 0;
};

/** Reading a store. */
class kv_reader_c {
public:
    virtual ~kv_reader_c() = default;
    /** Puts the value of the key into `value` and answers true; false, and `value` as it was, if there is none. */
    virtual bool get(const std::string &key, std::string &value) = 0;
    /** Whether the key is there. */
    virtual bool exists(const std::string &key) const = 0;
    /** Shows the pairs whose key begins with the prefix, in order, as of one moment, until the callback answers false. */
    virtual void iterate(
        const std::string &prefix,
        std::function<bool(const std::string &key, const std::string &value)> callback) const = 0;
};

/** Writing a store. */
class kv_writer_c {
public:
    virtual ~kv_writer_c() = default;
    /** Sets a key, whether or not it was there. */
    virtual bool set(const std::string &key, const std::string &value) = 0;
    /** Removes a key; false if it was not there. */
    virtual bool del(const std::string &key) = 0;
    /** Sets all the keys in one atomic step. */
    virtual bool set_batch(const std::map<std::string, std::string> &pairs) = 0;
    /** Removes all the keys, which may be absent, in one atomic step. */
    virtual bool delete_batch(const std::vector<std::string> &keys) = 0;
    /** Sets a key if it is not there yet. */
    virtual bool set_nx(const std::string &key, const std::string &value) = 0;
    /** Sets a key to a new value if it has the expected one. */
    virtual bool compare_and_swap(const std::string &key, const std::string &expected,
                                  const std::string &value) = 0;
};

/** A store as hosts see it; they can also write their own. */
class kv_c : public kv_reader_c, public kv_writer_c, public kv_stat {};

/* ------------------------------------------------------------------------------------------- values, batches, cursors */

/** A value that a store gave, without a copy where that costs less; `kvds_value`. Valid whatever happens to the store. */
class value_c {
public:
    /** Empty. */
    value_c() noexcept = default;
    /** Owns what a function of kvds.h gave. */
    explicit value_c(const kvds_value &value) noexcept : value_(value) {}
    /** Takes the other's bytes over. */
    value_c(value_c &&other) noexcept : value_(std::exchange(other.value_, kvds_value{})) {}
    /** Takes the other's bytes over and gives up its own. */
    value_c &operator=(value_c &&other) noexcept
    {
        value_c taken(std::move(other));
        std::swap(value_, taken.value_);
        return *this;
    }
    /** Gives the bytes back; `kvds_value_release`. */
    ~value_c() { kvds_value_release(&value_); }

    /** The bytes, valid as long as this. */
    std::string_view view() const noexcept { return detail::text(value_.data, value_.len); }
    /** The bytes, valid as long as this. */
    operator std::string_view() const noexcept { return view(); }
    /** A copy of the bytes. */
    std::string str() const { return std::string(view()); }
    /** How many bytes. */
    std::size_t size() const noexcept { return value_.len; }

private:
    kvds_value value_{};
};

/** Operations, and expectations of what is there before them, for store_c::write; `kvds_batch`. One thread at a time. */
class batch_c {
public:
    /** An empty batch; `kvds_batch_new`. It is freed (`kvds_batch_free`) when this is destroyed. */
    batch_c() : batch_(kvds_batch_new()) {}

    /** Adds the operation to set a key; `kvds_batch_set`. */
    bool set(std::string_view key, std::string_view value)
    {
        return detail::ok(
            kvds_batch_set(handle(), key.data(), key.size(), value.data(), value.size()));
    }
    /** Adds the operation to remove a key; `kvds_batch_del`. */
    bool del(std::string_view key)
    {
        return detail::ok(kvds_batch_del(handle(), key.data(), key.size()));
    }
    /** Adds the expectation that a key has a value; `kvds_batch_expect`. */
    bool expect(std::string_view key, std::string_view value)
    {
        return detail::ok(
            kvds_batch_expect(handle(), key.data(), key.size(), value.data(), value.size()));
    }
    /** Adds the expectation that a key is not there; `kvds_batch_expect_absent`. */
    bool expect_absent(std::string_view key)
    {
        return detail::ok(kvds_batch_expect_absent(handle(), key.data(), key.size()));
    }
    /** Empties the batch; `kvds_batch_clear`. */
    void clear() noexcept { kvds_batch_clear(handle()); }
    /** How many operations there are; `kvds_batch_count`. */
    std::size_t count() const noexcept { return kvds_batch_count(handle()); }
    /** For functions of kvds.h; still owned by this. */
    kvds_batch *handle() const noexcept { return batch_.get(); }

private:
    detail::owner<kvds_batch, kvds_batch_free> batch_;
};

/** Which keys a cursor or a scan goes over: from `start` to before `end`, if they are not empty, with the prefix. */
struct range {
    std::string_view prefix{}; /**< What the keys begin with; empty for any. */
    std::string_view start{};  /**< The first key; empty for no lower bound. */
    std::string_view end{};    /**< The first key that is too far; empty for no upper bound. */
};

/** A movable position in a range of keys, over one moment; `kvds_cursor`. One thread at a time. Made by store_c::cursor. */
class cursor_c {
public:
    /** Owns what `kvds_cursor_new` gave; it is freed (`kvds_cursor_free`) when this is destroyed. */
    explicit cursor_c(kvds_cursor *cursor) noexcept : cursor_(cursor) {}

    /** Moves to the first entry; `kvds_cursor_first`. */
    bool first() { return detail::ok(kvds_cursor_first(handle())); }
    /** Moves to the last entry; `kvds_cursor_last`. */
    bool last() { return detail::ok(kvds_cursor_last(handle())); }
    /** Moves one entry on; `kvds_cursor_next`. */
    bool next() { return detail::ok(kvds_cursor_next(handle())); }
    /** Moves one entry back; `kvds_cursor_prev`. */
    bool prev() { return detail::ok(kvds_cursor_prev(handle())); }
    /** Moves to the first entry from this key on; `kvds_cursor_seek`. */
    bool seek(std::string_view key)
    {
        return detail::ok(kvds_cursor_seek(handle(), key.data(), key.size()));
    }
    /** Whether it stands on an entry; `kvds_cursor_valid`. */
    bool valid() const noexcept { return kvds_cursor_valid(handle()) == 1; }

    /** The key, valid until the next move; empty if it stands on no entry; `kvds_cursor_key`. */
    std::string_view key() const
    {
        kvds_bytes key{};
        detail::keep(kvds_cursor_key(handle(), &key));
        return detail::text(key);
    }
    /** The value, valid until the next move; empty if it stands on no entry; `kvds_cursor_value`. */
    std::string_view value() const
    {
        kvds_bytes value{};
        detail::keep(kvds_cursor_value(handle(), &value));
        return detail::text(value);
    }
    /** For functions of kvds.h; still owned by this. */
    kvds_cursor *handle() const noexcept { return cursor_.get(); }

private:
    detail::owner<kvds_cursor, kvds_cursor_free> cursor_;
};

/**
 * The pairs of a range of keys in order, over one moment, for `for (auto [key, value] : store->scan("user:"))`. Keys and
 * values are valid until the loop goes on. When the loop has ended by itself, last_status() is `not_found` if all was shown,
 * else the failure.
 */
class scan_c {
public:
    /** Goes over the cursor's range. */
    explicit scan_c(cursor_c cursor) noexcept : cursor_(std::move(cursor)) {}

    /** An input iterator: all iterators of a scan stand at the same place. */
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag; /**< Goes forward, once. */
        using value_type = std::pair<std::string_view, std::string_view>; /**< Key and value. */
        using reference = value_type;                                     /**< Key and value. */
        using pointer = void;                                             /**< There is none. */
        using difference_type = std::ptrdiff_t; /**< As the standard asks. */

        /** The end. */
        iterator() noexcept = default;
        /** Where the cursor stands. */
        explicit iterator(cursor_c &cursor) noexcept : cursor_(cursor.valid() ? &cursor : nullptr)
        {}
        /** Key and value, valid until the iterator goes on. */
        value_type operator*() const { return { cursor_->key(), cursor_->value() }; }
        /** Goes on. */
        iterator &operator++()
        {
            if (!cursor_->next())
                cursor_ = nullptr;
            return *this;
        }
        /** Goes on. */
        void operator++(int) { ++*this; }
        /** Whether both are at the end, or neither is. */
        bool operator==(const iterator &other) const noexcept { return cursor_ == other.cursor_; }
        /** Whether one is at the end and the other is not. */
        bool operator!=(const iterator &other) const noexcept { return cursor_ != other.cursor_; }

    private:
        cursor_c *cursor_ = nullptr;
    };

    /** Begins, also anew, with the first pair. */
    iterator begin()
    {
        // Without a cursor the failure to make one is what last_status() is to say.
        if (cursor_.handle() == nullptr || !cursor_.first())
            return end();
        return iterator(cursor_);
    }
    /** Behind the last pair. */
    iterator end() const noexcept { return {}; }

private:
    cursor_c cursor_;
};

/* ------------------------------------------------------------------------------------------------------------- stores */

class options_c;
class store_c;

template <>
class shared_obj_c<store_c>;

/**
 * A store, or a view of one; `kvds_store`. Held by shared_obj_c<store_c>, which gives it `->`. Threads: any, all calls at
 * the same time. The functions of kv_c take std::string; beside each of them is one that takes whatever converts to
 * std::string_view. A const store can be read.
 */
class store_c final : public kv_c {
public:
    store_c(const store_c &) = delete;
    store_c &operator=(const store_c &) = delete;

    /** Opens the disk store in exactly this directory, without a distributor; `kvds_store_open`. */
    static std::optional<shared_obj_c<store_c>> open(const std::string &path);
    /** Opens the disk store in exactly this directory, with options; `kvds_store_open`. */
    static std::optional<shared_obj_c<store_c>> open(const std::string &path,
                                                     const options_c &options);

    /* ---- identity and references */

    /** Counts one reference more; `kvds_store_retain`. */
    const store_c *acquire() const noexcept
    {
        kvds_store_retain(handle_);
        return this;
    }
    /** Gives up a reference and answers how many are left; at 0 the store is gone; `kvds_store_release`. */
    std::int64_t release() const noexcept { return kvds_store_release(handle_); }
    /** How many references there are; `kvds_store_ref_count`. */
    std::int64_t refCount() const noexcept { return kvds_store_ref_count(handle_); }
    /** The number of the store in its distributor; `kvds_store_tag`. */
    std::uint64_t tag() const noexcept { return kvds_store_tag(handle_); }
    /** The id it was asked for by, valid as long as a reference; `kvds_store_id`. */
    const char *id() const noexcept { return kvds_store_id(handle_); }
    /** The backend it was asked for with; `kvds_store_backend`. */
    kvds::backend backend() const noexcept
    {
        return static_cast<kvds::backend>(kvds_store_backend(handle_));
    }
    /** For functions of kvds.h; still owned by the reference. */
    kvds_store *handle() const noexcept { return handle_; }
    /** kvds::last_status(), for who has a store at hand. */
    static status last_status() noexcept { return kvds::last_status(); }

    /** Whether it can be used; `kvds_is_open`. */
    bool is_open() const override { return kvds_is_open(handle_) == 1; }
    /** Closes it for every holder; `kvds_close`. */
    bool close() { return detail::ok(kvds_close(handle_)); }

    /* ---- reading */

    /** `kvds_get` */
    bool get(const std::string &key, std::string &value) override
    {
        return get(std::string_view(key), value);
    }
    /** Puts the value of the key into `value`, which stays as it was if there is none; `kvds_get`. */
    template <class Key, class = detail::if_text<Key>>
    bool get(const Key &key, std::string &value)
    {
        return std::as_const(*this).get(key, value);
    }
    /** Puts the value of the key into `value`, which stays as it was if there is none; `kvds_get`. */
    template <class Key, class = detail::if_text<Key>>
    bool get(const Key &key, std::string &value) const
    {
        const auto found = get_value(key);
        if (!found)
            return false;
        value.assign(found->view());
        return true;
    }
    /** The value of the key; `kvds_get`. */
    std::optional<std::string> get(std::string_view key) const
    {
        const auto found = get_value(key);
        if (!found)
            return std::nullopt;
        return found->str();
    }
    /** The value of the key, not copied where sharing costs less; `kvds_get`. */
    std::optional<value_c> get_value(std::string_view key) const
    {
        kvds_value value{};
        if (!detail::ok(kvds_get(handle_, key.data(), key.size(), &value)))
            return std::nullopt;
        return value_c(value);
    }
    /** Copies the value of the key into a buffer, if it has room; `len` becomes the value's length; `kvds_get_into`. */
    bool get_into(std::string_view key, void *buffer, std::size_t capacity, std::size_t &len) const
    {
        return detail::ok(kvds_get_into(handle_, key.data(), key.size(), buffer, capacity, &len));
    }

    /** `kvds_exists` */
    bool exists(const std::string &key) const override { return exists(std::string_view(key)); }
    /** Whether the key is there; `kvds_exists`. */
    template <class Key, class = detail::if_text<Key>>
    bool exists(const Key &key) const
    {
        const std::string_view k = key;
        return detail::ok(kvds_exists(handle_, k.data(), k.size()));
    }

    /** The values of many keys (a container of texts), as of one moment, in their order; `kvds_multi_get`. */
    template <class Keys>
    std::optional<std::vector<std::optional<value_c>>> multi_get(const Keys &keys) const
    {
        std::vector<kvds_bytes> wanted = bytes_of(keys);
        std::vector<std::optional<value_c>> found(wanted.size());
        std::vector<kvds_value> values(wanted.size());
        std::vector<kvds_status> statuses(wanted.size());
        if (!detail::ok(kvds_multi_get(handle_, wanted.data(), wanted.size(), values.data(),
                                       statuses.data())))
            return std::nullopt;
        for (std::size_t i = 0; i < found.size(); i++)
            if (statuses[i] == KVDS_OK)
                found[i].emplace(values[i]);
        return found;
    }
    /** The values of the keys in braces; `kvds_multi_get`. */
    std::optional<std::vector<std::optional<value_c>>>
    multi_get(std::initializer_list<std::string_view> keys) const
    {
        return multi_get<std::initializer_list<std::string_view>>(keys);
    }

    /** `kvds_iterate` */
    void iterate(const std::string &prefix,
                 std::function<bool(const std::string &key, const std::string &value)> callback)
        const override
    {
        std::string key_string, value_string;
        iterate(std::string_view(prefix), [&](std::string_view key, std::string_view value) {
            key_string.assign(key);
            value_string.assign(value);
            return callback(key_string, value_string);
        });
    }
    /**
     * Shows the pairs whose key begins with the prefix to a callback that takes two string_views, valid during the call, and
     * answers whether to go on; `kvds_iterate`. True if the end was reached or the callback ended it (`stopped`).
     */
    template <class Prefix, class Callback, class = detail::if_text<Prefix>,
              class = std::enable_if_t<
                  std::is_invocable_r_v<bool, Callback &, std::string_view, std::string_view>>>
    bool iterate(const Prefix &prefix, Callback &&callback) const
    {
        using relay = detail::relay_c<std::remove_reference_t<Callback>>;
        const std::string_view p = prefix;
        relay called(callback);
        const auto visit = [](void *relayed, const void *key, std::size_t key_len,
                              const void *value, std::size_t value_len) noexcept {
            return static_cast<relay *>(relayed)->call(detail::text(key, key_len),
                                                       detail::text(value, value_len));
        };
        return called.end(kvds_iterate(handle_, p.data(), p.size(), visit, &called));
    }

    /** A cursor over a range of keys, as of now, which stands on no entry yet; `kvds_cursor_new`. */
    std::optional<cursor_c> cursor(const range &range = {}) const
    {
        cursor_c made = new_cursor(range);
        if (made.handle() == nullptr)
            return std::nullopt;
        return made;
    }
    /** The pairs of a range of keys, as of now, for a loop; `kvds_cursor_new`. */
    scan_c scan(const range &range) const { return scan_c(new_cursor(range)); }
    /** The pairs whose key begins with the prefix, as of now, for a loop; `kvds_cursor_new`. */
    template <class Prefix, class = detail::if_text<Prefix>>
    scan_c scan(const Prefix &prefix) const
    {
        return scan(range{ prefix, {}, {} });
    }
    /** All pairs, as of now, for a loop; `kvds_cursor_new`. */
    scan_c scan() const { return scan(range{}); }

    /* ---- writing */

    /** `kvds_set` */
    bool set(const std::string &key, const std::string &value) override
    {
        return set(std::string_view(key), std::string_view(value));
    }
    /** Sets a key, whether or not it was there; `kvds_set`. */
    template <class Key, class Value, class = detail::if_text<Key>, class = detail::if_text<Value>>
    bool set(const Key &key, const Value &value)
    {
        const std::string_view k = key, v = value;
        return detail::ok(kvds_set(handle_, k.data(), k.size(), v.data(), v.size()));
    }

    /** `kvds_del` */
    bool del(const std::string &key) override { return del(std::string_view(key)); }
    /** Removes a key; false if it was not there; `kvds_del`. */
    template <class Key, class = detail::if_text<Key>>
    bool del(const Key &key)
    {
        const std::string_view k = key;
        return detail::ok(kvds_del(handle_, k.data(), k.size()));
    }

    /** `kvds_set_batch` */
    bool set_batch(const std::map<std::string, std::string> &pairs) override
    {
        return set_batch<std::map<std::string, std::string>>(pairs);
    }
    /** Sets all the keys of a container of pairs in one atomic step; if a key comes twice, the last wins; `kvds_set_batch`. */
    template <class Pairs>
    bool set_batch(const Pairs &pairs)
    {
        static_assert(detail::keeps_texts<Pairs>,
                      "the pairs must be in the container, not made while it is gone through");
        std::vector<kvds_pair> all;
        for (const auto &[key, value] : pairs) {
            const std::string_view k = key, v = value;
            all.push_back({ k.data(), k.size(), v.data(), v.size() });
        }
        return detail::ok(kvds_set_batch(handle_, all.data(), all.size()));
    }
    /** Sets the pairs in braces in one atomic step; `kvds_set_batch`. */
    bool set_batch(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs)
    {
        return set_batch<std::initializer_list<std::pair<std::string_view, std::string_view>>>(
            pairs);
    }

    /** `kvds_delete_batch` */
    bool delete_batch(const std::vector<std::string> &keys) override
    {
        return delete_batch<std::vector<std::string>>(keys);
    }
    /** Removes all the keys of a container, which may be absent, in one atomic step; `kvds_delete_batch`. */
    template <class Keys>
    bool delete_batch(const Keys &keys)
    {
        const std::vector<kvds_bytes> all = bytes_of(keys);
        return detail::ok(kvds_delete_batch(handle_, all.data(), all.size()));
    }
    /** Removes the keys in braces in one atomic step; `kvds_delete_batch`. */
    bool delete_batch(std::initializer_list<std::string_view> keys)
    {
        return delete_batch<std::initializer_list<std::string_view>>(keys);
    }

    /** `kvds_set_nx` */
    bool set_nx(const std::string &key, const std::string &value) override
    {
        return set_nx(std::string_view(key), std::string_view(value));
    }
    /** Sets a key if it is not there yet; `kvds_set_nx`. */
    template <class Key, class Value, class = detail::if_text<Key>, class = detail::if_text<Value>>
    bool set_nx(const Key &key, const Value &value)
    {
        const std::string_view k = key, v = value;
        return detail::ok(kvds_set_nx(handle_, k.data(), k.size(), v.data(), v.size()));
    }

    /** `kvds_compare_and_swap` */
    bool compare_and_swap(const std::string &key, const std::string &expected,
                          const std::string &value) override
    {
        return compare_and_swap(std::string_view(key), std::string_view(expected),
                                std::string_view(value));
    }
    /** Sets a key to a new value if it has the expected one; `kvds_compare_and_swap`. */
    template <class Key, class Expected, class Value, class = detail::if_text<Key>,
              class = detail::if_text<Expected>, class = detail::if_text<Value>>
    bool compare_and_swap(const Key &key, const Expected &expected, const Value &value)
    {
        const std::string_view k = key, e = expected, v = value;
        return detail::ok(kvds_compare_and_swap(handle_, k.data(), k.size(), e.data(), e.size(),
                                                v.data(), v.size()));
    }

    /** Removes a key if it has the expected value; `kvds_compare_and_delete`. */
    bool compare_and_delete(std::string_view key, std::string_view expected)
    {
        return detail::ok(kvds_compare_and_delete(handle_, key.data(), key.size(), expected.data(),
                                                  expected.size()));
    }
    /** Adds to the number that a key has as its value, and answers the sum; `kvds_add`. */
    std::optional<std::int64_t> add(std::string_view key, std::int64_t delta)
    {
        std::int64_t sum = 0;
        if (!detail::ok(kvds_add(handle_, key.data(), key.size(), delta, &sum)))
            return std::nullopt;
        return sum;
    }
    /** Removes every key that begins with the prefix in one atomic step; `kvds_delete_prefix`. */
    bool delete_prefix(std::string_view prefix)
    {
        return detail::ok(kvds_delete_prefix(handle_, prefix.data(), prefix.size()));
    }
    /** Applies a batch in one atomic step if its expectations hold; `kvds_write`. */
    bool write(const batch_c &batch) { return detail::ok(kvds_write(handle_, batch.handle())); }

    /* ---- views */

    /** A view that allows only some of what this allows; `kvds_store_view`. */
    std::optional<shared_obj_c<store_c>> view(rights rights) const;
    /** A view of the keys that begin with the prefix, without it; `kvds_store_scope`. */
    std::optional<shared_obj_c<store_c>> scope(std::string_view prefix) const;
    /** A view of the store as it is now; `kvds_store_snapshot`. */
    std::optional<shared_obj_c<store_c>> snapshot() const;

    /* ---- care */

    /** Makes what was acknowledged survive a power cut; `kvds_sync`. */
    bool sync() const { return detail::ok(kvds_sync(handle_)); }
    /** Gives back the disk space of what is gone; `kvds_compact`. */
    bool compact() const { return detail::ok(kvds_compact(handle_)); }
    /** Has a store opened with `read_only` show what was written since; `kvds_refresh`. */
    bool refresh() const { return detail::ok(kvds_refresh(handle_)); }
    /** Makes a copy as a disk store in the directory `path`; `kvds_checkpoint`. */
    bool checkpoint(const std::string &path) const
    {
        return detail::ok(kvds_checkpoint(handle_, detail::c_str(path)));
    }
    /** Figures of the store; `kvds_store_stats`. */
    std::optional<kvds::stats> stats() const
    {
        kvds::stats stats{};
        if (!detail::ok(kvds_store_stats(handle_, &stats, sizeof stats)))
            return std::nullopt;
        return stats;
    }
    /** What is known of the store under a name, as text; `kvds_store_property`. */
    std::optional<std::string> property(const std::string &name) const
    {
        kvds_value text{};
        if (!detail::ok(kvds_store_property(handle_, detail::c_str(name), &text)))
            return std::nullopt;
        return value_c(text).str();
    }

private:
    friend class shared_obj_c<store_c>;

    explicit store_c(kvds_store *handle) noexcept : handle_(handle) {}
    ~store_c() override { kvds_store_release(handle_); }

    template <class Keys>
    static std::vector<kvds_bytes> bytes_of(const Keys &keys)
    {
        static_assert(detail::keeps_texts<Keys>,
                      "the keys must be in the container, not made while it is gone through");
        std::vector<kvds_bytes> all;
        for (const auto &key : keys)
            all.push_back(detail::bytes(key));
        return all;
    }

    cursor_c new_cursor(const range &r) const
    {
        const kvds_range wanted{ r.prefix.data(), r.prefix.size(), r.start.data(),
                                 r.start.size(),  r.end.data(),    r.end.size() };
        kvds_cursor *cursor = nullptr;
        detail::keep(kvds_cursor_new(handle_, &wanted, &cursor));
        return cursor_c(cursor);
    }

    kvds_store *handle_;
};

/**
 * A counted reference to a store (`kvds_store`), counted by the library. It is what shared_obj_c is to any object, with one
 * difference: the store_c that get() points to is this reference's own and lives as long. Compare references, not those
 * pointers.
 */
template <>
class shared_obj_c<store_c> {
public:
    /** The class of what get() points to, as std::shared_ptr names it. */
    using element_type = store_c;

    /** Refers to nothing. */
    shared_obj_c() noexcept : store_(nullptr) {}
    /** One more reference to a store. */
    shared_obj_c(const store_c *store) noexcept
        : store_(store ? kvds_store_retain(store->handle()) : nullptr)
    {}
    /** One more reference to what the other refers to. */
    shared_obj_c(const shared_obj_c &other) noexcept : store_(kvds_store_retain(other.handle())) {}
    /** Takes the other's reference over. */
    shared_obj_c(shared_obj_c &&other) noexcept
        : store_(std::exchange(other.store_.handle_, nullptr))
    {}
    /** Refers to what the other refers to. */
    shared_obj_c &operator=(shared_obj_c other) noexcept
    {
        std::swap(store_.handle_, other.store_.handle_);
        return *this;
    }
    ~shared_obj_c() = default;

    /** Takes over a reference that a function of kvds.h gave; NULL refers to nothing. */
    static shared_obj_c adopt(kvds_store *handle) noexcept
    {
        shared_obj_c adopted;
        adopted.store_.handle_ = handle;
        return adopted;
    }

    /** The store; there must be one. */
    store_c &operator*() const noexcept { return store_; }
    /** The store; there must be one. */
    store_c *operator->() const noexcept { return &store_; }
    /** The store, or NULL. Valid as long as this reference. */
    store_c *get() const noexcept { return *this ? &store_ : nullptr; }
    /** The store, or NULL: another name of get(). */
    store_c *ptr() const noexcept { return get(); }
    /** For functions of kvds.h; still owned by this. */
    kvds_store *handle() const noexcept { return store_.handle(); }
    /** Gives up the reference. */
    void reset() noexcept { shared_obj_c().swap(*this); }
    /** Gives up the reference, and takes one to another store. */
    void reset(const store_c *store) noexcept { shared_obj_c(store).swap(*this); }
    /** Exchanges two references. */
    void swap(shared_obj_c &other) noexcept { std::swap(store_.handle_, other.store_.handle_); }
    /** Exchanges two references. */
    friend void swap(shared_obj_c &a, shared_obj_c &b) noexcept { a.swap(b); }
    /** Returns the number of references to the store; 0 without a store. */
    long use_count() const noexcept { return *this ? static_cast<long>(store_.refCount()) : 0; }
    /** Whether there is a store. To bool alone: a reference is no number. */
    template <class Bool, class = detail::if_bool<Bool>>
    operator Bool() const noexcept
    {
        return handle() != nullptr;
    }
    /** Whether both refer to the same store. */
    bool operator==(const shared_obj_c &other) const noexcept { return handle() == other.handle(); }
    /** Whether they refer to different stores. */
    bool operator!=(const shared_obj_c &other) const noexcept { return handle() != other.handle(); }
    /** The order of containers: by address. */
    bool operator<(const shared_obj_c &other) const noexcept
    {
        return std::less<kvds_store *>()(handle(), other.handle());
    }
    /** The order of containers: by address. */
    bool operator>(const shared_obj_c &other) const noexcept { return other < *this; }
    /** The order of containers: by address. */
    bool operator<=(const shared_obj_c &other) const noexcept { return !(other < *this); }
    /** The order of containers: by address. */
    bool operator>=(const shared_obj_c &other) const noexcept { return !(*this < other); }
    /** The order of owners, which is that of the stores. */
    bool owner_before(const shared_obj_c &other) const noexcept { return *this < other; }

    /**
     * Converts to a std::shared_ptr that holds one reference. Each conversion makes an owner of its
     * own: a std::weak_ptr to it expires with that owner, not with the store.
     */
    template <class Base, class = std::enable_if_t<std::is_convertible_v<store_c *, Base *>>>
    operator std::shared_ptr<Base>() const
    {
        if (!*this)
            return nullptr;
        auto holder = std::make_shared<shared_obj_c>(*this);
        return std::shared_ptr<Base>(holder, holder->get());
    }

private:
    // Reading through a const reference may write to the store, as with a pointer.
    mutable store_c store_;
};

inline std::optional<shared_obj_c<store_c>> store_c::view(rights rights) const
{
    kvds_store *view = nullptr;
    if (!detail::ok(kvds_store_view(handle_, static_cast<int>(rights), &view)))
        return std::nullopt;
    return shared_obj_c<store_c>::adopt(view);
}

inline std::optional<shared_obj_c<store_c>> store_c::scope(std::string_view prefix) const
{
    kvds_store *scope = nullptr;
    if (!detail::ok(kvds_store_scope(handle_, prefix.data(), prefix.size(), &scope)))
        return std::nullopt;
    return shared_obj_c<store_c>::adopt(scope);
}

inline std::optional<shared_obj_c<store_c>> store_c::snapshot() const
{
    kvds_store *snapshot = nullptr;
    if (!detail::ok(kvds_store_snapshot(handle_, &snapshot)))
        return std::nullopt;
    return shared_obj_c<store_c>::adopt(snapshot);
}

/* ------------------------------------------------------------------------------------------------------- distributors */

/** Settings for a distributor, which copies them; `kvds_options`. One thread at a time. */
class options_c {
public:
    /** Every option at its default; `kvds_options_new`. They are freed (`kvds_options_free`) when this is destroyed. */
    options_c() : options_(kvds_options_new()) {}

    /** Sets an option by name, from text; `kvds_options_set`. */
    bool set(const std::string &name, const std::string &value)
    {
        return detail::ok(kvds_options_set(handle(), detail::c_str(name), detail::c_str(value)));
    }
    /** What an acknowledged write survives; `kvds_options_set_durability`. */
    bool durability(kvds::durability durability)
    {
        return detail::ok(
            kvds_options_set_durability(handle(), static_cast<kvds_durability>(durability)));
    }
    /** Memory for blocks that were read, of all disk stores together; `kvds_options_set_block_cache_bytes`. */
    bool block_cache_bytes(std::uint64_t bytes)
    {
        return detail::ok(kvds_options_set_block_cache_bytes(handle(), bytes));
    }
    /** Memory for what is written, of all disk stores together; `kvds_options_set_write_buffer_bytes`. */
    bool write_buffer_bytes(std::uint64_t bytes)
    {
        return detail::ok(kvds_options_set_write_buffer_bytes(handle(), bytes));
    }
    /** How much all memory stores together may hold; `kvds_options_set_memory_limit_bytes`. */
    bool memory_limit_bytes(std::uint64_t bytes)
    {
        return detail::ok(kvds_options_set_memory_limit_bytes(handle(), bytes));
    }
    /** How tables are compressed; `kvds_options_set_compression`. */
    bool compression(kvds::compression compression)
    {
        return detail::ok(
            kvds_options_set_compression(handle(), static_cast<kvds_compression>(compression)));
    }
    /** Whether disk stores are opened for reading only; `kvds_options_set_read_only`. */
    bool read_only(bool read_only)
    {
        return detail::ok(kvds_options_set_read_only(handle(), read_only));
    }
    /** Whether a store that is not there is made; `kvds_options_set_create_if_missing`. */
    bool create_if_missing(bool create)
    {
        return detail::ok(kvds_options_set_create_if_missing(handle(), create));
    }
    /** Whether the distributor holds the stores it made; `kvds_options_set_keep_stores`. */
    bool keep_stores(bool keep) { return detail::ok(kvds_options_set_keep_stores(handle(), keep)); }
    /** How many files a disk store keeps open; `kvds_options_set_max_open_files`. */
    bool max_open_files(std::int64_t files)
    {
        return detail::ok(kvds_options_set_max_open_files(handle(), files));
    }
    /** For functions of kvds.h; still owned by this. */
    kvds_options *handle() const noexcept { return options_.get(); }

private:
    detail::owner<kvds_options, kvds_options_free> options_;
};

inline std::optional<shared_obj_c<store_c>> store_c::open(const std::string &path)
{
    kvds_store *store = nullptr;
    if (!detail::ok(kvds_store_open(detail::c_str(path), nullptr, &store)))
        return std::nullopt;
    return shared_obj_c<store_c>::adopt(store);
}

inline std::optional<shared_obj_c<store_c>> store_c::open(const std::string &path,
                                                          const options_c &options)
{
    kvds_store *store = nullptr;
    // As in distributor_c: NULL would mean the defaults.
    const kvds_status opened = options.handle()
                                   ? kvds_store_open(detail::c_str(path), options.handle(), &store)
                                   : kvds_options_set(nullptr, "", "");
    if (!detail::ok(opened))
        return std::nullopt;
    return shared_obj_c<store_c>::adopt(store);
}

/**
 * Hands out stores by name; `kvds_distributor`. A counted reference itself: a copy is the same distributor. Threads: any,
 * all calls at the same time.
 */
class distributor_c {
public:
    /** With memory stores only; `kvds_distributor_new`. */
    distributor_c() : distributor_c(std::string()) {}
    /** With disk stores under `base_path`, if it is not empty; `kvds_distributor_new`. False as a bool if that failed. */
    explicit distributor_c(const std::string &base_path)
    {
        detail::keep(kvds_distributor_open(detail::c_str(base_path), nullptr, &distributor_));
    }
    /** With options; `kvds_distributor_open`. False as a bool if that failed. */
    distributor_c(const std::string &base_path, const options_c &options)
    {
        // NULL would mean the defaults to C. Options that were moved away are refused as any call on them is.
        detail::keep(options.handle() ? kvds_distributor_open(detail::c_str(base_path),
                                                              options.handle(), &distributor_)
                                      : kvds_options_set(nullptr, "", ""));
    }
    /** The same distributor; `kvds_distributor_retain`. */
    distributor_c(const distributor_c &other) noexcept
        : distributor_(kvds_distributor_retain(other.distributor_))
    {}
    /** Takes the other's reference over. */
    distributor_c(distributor_c &&other) noexcept
        : distributor_(std::exchange(other.distributor_, nullptr))
    {}
    /** Refers to the other's distributor. */
    distributor_c &operator=(distributor_c other) noexcept
    {
        std::swap(distributor_, other.distributor_);
        return *this;
    }
    /** Gives up the reference; `kvds_distributor_release`. Stores that are still held go on. */
    ~distributor_c() { kvds_distributor_release(distributor_); }

    /** Whether there is a distributor: opening it did not fail. */
    explicit operator bool() const noexcept { return distributor_ != nullptr; }
    /** How many references there are; `kvds_distributor_ref_count`. */
    std::int64_t refCount() const noexcept { return kvds_distributor_ref_count(distributor_); }
    /** For functions of kvds.h; still owned by this. */
    kvds_distributor *handle() const noexcept { return distributor_; }
    /** kvds::last_status(), for who has a distributor at hand. */
    static status last_status() noexcept { return kvds::last_status(); }

    /** The live store of this name, made if there is none; `kvds_distributor_get_or_create`. */
    std::optional<shared_obj_c<store_c>> get_or_create(const std::string &id, backend backend) const
    {
        return ask(kvds_distributor_get_or_create, id, backend);
    }
    /** The live store of this name, if there is one; `kvds_distributor_get`. */
    std::optional<shared_obj_c<store_c>> get(const std::string &id, backend backend) const
    {
        return ask(kvds_distributor_get, id, backend);
    }
    /** Gives up the reference that option `keep_stores` made it hold; `kvds_distributor_evict`. */
    bool evict(const std::string &id, backend backend) const
    {
        return detail::ok(kvds_distributor_evict(distributor_, detail::id_str(id),
                                                 static_cast<kvds_backend>(backend)));
    }
    /** Removes the files of a disk store, for good; `kvds_distributor_destroy_store`. */
    bool destroy_store(const std::string &id) const
    {
        return detail::ok(kvds_distributor_destroy_store(distributor_, detail::id_str(id)));
    }
    /** Closes every live store and refuses new ones; `kvds_distributor_shutdown`. */
    bool shutdown() const { return detail::ok(kvds_distributor_shutdown(distributor_)); }
    /** How many live stores there are; `kvds_distributor_store_count`. */
    std::size_t store_count() const noexcept { return kvds_distributor_store_count(distributor_); }

    /**
     * Shows every live store to `callback(std::string_view id, backend, std::uint64_t tag, std::int64_t ref_count)`, which
     * answers whether to go on; `kvds_distributor_for_each`. True if all were shown or the callback ended it (`stopped`).
     */
    template <class Callback>
    bool for_each(Callback &&callback) const
    {
        using relay = detail::relay_c<std::remove_reference_t<Callback>>;
        relay called(callback);
        const auto visit = [](void *relayed, const char *id, kvds_backend backend,
                              std::uint64_t tag, std::int64_t ref_count) noexcept {
            return static_cast<relay *>(relayed)->call(
                std::string_view(id), static_cast<kvds::backend>(backend), tag, ref_count);
        };
        return called.end(kvds_distributor_for_each(distributor_, visit, &called));
    }

    /** Who is told of the death of a store: its tag, its id (valid during the call) and its backend. */
    using on_death =
        std::function<void(std::uint64_t tag, std::string_view id, kvds::backend backend)>;

    /** Has a function called when a store dies, and answers a number for unobserve(); `kvds_distributor_observe`. */
    std::optional<std::uint64_t> observe(on_death callback) const
    {
        const auto called = [](void *function, std::uint64_t tag, const char *id,
                               kvds_backend backend) noexcept {
            (*static_cast<on_death *>(function))(tag, id, static_cast<kvds::backend>(backend));
        };
        const auto free = [](void *function) noexcept { delete static_cast<on_death *>(function); };
        std::uint64_t observer = 0;
        // C refuses what is no function when it is given, and not when it is to be called.
        const kvds_death told = callback ? +called : nullptr;
        if (!detail::ok(kvds_distributor_observe(
                distributor_, told, new on_death(std::move(callback)), free, &observer)))
            return std::nullopt;
        return observer;
    }
    /** Has an observer told the tag of each store that dies; it must live until unobserve(); `kvds_distributor_observe`. */
    std::optional<std::uint64_t> observe(lifetime_tagged_c::observer_if &observer) const
    {
        return observe([&observer](std::uint64_t tag, std::string_view, kvds::backend) {
            observer.death_ind(tag);
        });
    }
    /** Takes an observer away: it is not running and will not be called again; `kvds_distributor_unobserve`. */
    bool unobserve(std::uint64_t observer) const
    {
        return detail::ok(kvds_distributor_unobserve(distributor_, observer));
    }

private:
    template <class Function>
    std::optional<shared_obj_c<store_c>> ask(Function function, const std::string &id,
                                             backend backend) const
    {
        kvds_store *store = nullptr;
        if (!detail::ok(function(distributor_, detail::id_str(id),
                                 static_cast<kvds_backend>(backend), &store)))
            return std::nullopt;
        return shared_obj_c<store_c>::adopt(store);
    }

    kvds_distributor *distributor_ = nullptr;
};

/* ---------------------------------------------------------------------------------------------------------------- log */

/** Who is told what goes on in the library. Called by one thread of the library's own. */
class log_if {
public:
    virtual ~log_if() = default;
    /** One message, valid during the call. */
    virtual void line(log_level level, std::string_view text) = 0;
};

/**
 * Has `log` told what goes on, from lines of `level` to more important ones; NULL ends it; `kvds_set_log_callback`. There is
 * one log in the process. It must live until it is replaced.
 */
inline bool set_log_callback(log_level level, log_if *log)
{
    const auto line = [](void *told, kvds_log_level important, const char *text) noexcept {
        static_cast<log_if *>(told)->line(static_cast<log_level>(important), text);
    };
    return detail::ok(
        kvds_set_log_callback(static_cast<kvds_log_level>(level), log ? +line : nullptr, log));
}

} // namespace kvds

/** @cond */ /* Doxygen 1.9 cannot parse specializations in another namespace. */

/** Hashes a counted reference: references to the same object have the same hash. */
template <class T>
struct std::hash<kvds::shared_obj_c<T>> {
    /** The hash of the object's address. */
    std::size_t operator()(const kvds::shared_obj_c<T> &reference) const noexcept
    {
        return std::hash<T *>()(reference.get());
    }
};

/** Hashes a counted reference to a store: references to the same store have the same hash. */
template <>
struct std::hash<kvds::shared_obj_c<kvds::store_c>> {
    /** The hash of the handle's address. */
    std::size_t operator()(const kvds::shared_obj_c<kvds::store_c> &reference) const noexcept
    {
        return std::hash<kvds_store *>()(reference.handle());
    }
};

/** @endcond */

#endif /* KVDS_HPP */
