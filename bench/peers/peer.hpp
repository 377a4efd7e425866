/*
 * The interface of a C++ peer.
 *
 * A call should cost what the peer's own interface costs. Where that takes a std::string, the
 * string is thread-local and keeps its memory between calls, so the benchmark allocates nothing.
 */

#ifndef KVDS_BENCH_PEER_HPP
#define KVDS_BENCH_PEER_HPP

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>

/** The memory that kvds uses by default, which every store on disk gets. */
constexpr std::size_t cache_bytes = 256 << 20;
constexpr std::size_t write_buffer_bytes = 128 << 20;
/** What the documentation of RocksDB and LevelDB recommends for point reads. */
constexpr int bloom_bits = 10;

struct bytes {
    const char *data;
    std::size_t len;
};

struct pair {
    bytes key;
    bytes value;
};

using visit = bool (*)(void *user_data, bytes key, bytes value);

class peer {
public:
    virtual ~peer() = default;

    /** `value` is valid until the thread's next call. */
    virtual bool get(bytes key, bytes &value) = 0;
    virtual bool exists(bytes key) = 0;
    virtual void set(bytes key, bytes value) = 0;
    virtual bool del(bytes key) = 0;
    virtual void set_batch(const pair *pairs, std::size_t count) = 0;
    virtual void iterate(bytes prefix, visit show, void *user_data) = 0;

    /* Not every peer has these operations. The benchmark calls only those that do. */
    virtual bool set_nx(bytes, bytes) { missing(); }
    virtual bool compare_and_swap(bytes, bytes, bytes) { missing(); }
    /** Shows `count` pairs from the first key that is not less than `start`, or backward from the
     * last that is not greater. */
    virtual void scan(bytes, std::size_t, bool, visit, void *) { missing(); }

private:
    [[noreturn]] static void missing()
    {
        std::fputs("the peer does not have this operation\n", stderr);
        std::abort();
    }
};

/** Aborts the program: a peer that fails has no speed. */
[[noreturn]] inline void fail(const std::string &why)
{
    std::fprintf(stderr, "a peer failed: %s\n", why.c_str());
    std::abort();
}

/** Returns the thread-local string number `which`, with a copy of `from`. */
template <int which>
const std::string &as_string(bytes from)
{
    thread_local std::string text;
    text.assign(from.data, from.len);
    return text;
}

/** Returns the thread-local string for reads. */
inline std::string &read_string()
{
    thread_local std::string text;
    return text;
}

inline bytes as_bytes(const std::string &text) { return { text.data(), text.size() }; }

template <class view>
bool begins_with(const view &text, bytes prefix)
{
    return text.size() >= prefix.len && text.compare(0, prefix.len, prefix.data, prefix.len) == 0;
}

#endif /* KVDS_BENCH_PEER_HPP */
