/* The headers for programs of the original C++ package: every name of it, by its include paths. */
#include <types/lifetime.hpp>
#include <types/shared_obj.hpp>

#include <kvds/datastore.hpp>
#include <kvds/memstore.hpp>

#include <kvds/kvds.hpp>

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <thread>

#include <unistd.h>

using distributor_c = kvds::kv_c_distributor_c;
using backend_e = kvds::kv_c_distributor_c::kv_c_backend_e;
using text_map = std::map<std::string, std::string>;

namespace {

/* The type of references that the distributor returns, which has no public name. */
using store_opt =
    decltype(std::declval<distributor_c>().get_or_create_kv_c(std::string(), backend_e::MEMORY));
using store_ref = store_opt::value_type;

/* A temporary directory, which is the working directory during the test. */
class directory_c {
public:
    directory_c() : before_(std::filesystem::current_path())
    {
        std::string name = (std::filesystem::temp_directory_path() / "compat-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = std::filesystem::canonical(name);
        std::filesystem::current_path(path);
    }
    ~directory_c()
    {
        std::filesystem::current_path(before_);
        std::filesystem::remove_all(path);
    }
    std::filesystem::path path;

private:
    std::filesystem::path before_;
};

void write_file(const std::string &path)
{
    const std::unique_ptr<FILE, int (*)(FILE *)> file(fopen(path.c_str(), "w"), fclose);
    REQUIRE(file);
}

text_map all(const kvds::kv_reader_c &store, const std::string &prefix = "")
{
    text_map pairs;
    store.iterate(prefix, [&](const std::string &key, const std::string &value) {
        pairs[key] = value;
        return true;
    });
    return pairs;
}

std::vector<backend_e> backends()
{
#ifdef KVDS_TEST_NO_DISK
    return { backend_e::MEMORY };
#else
    return { backend_e::MEMORY, backend_e::DISK };
#endif
}

/* Checks an open store. `absent` is what deleting an absent key returns. */
void use(kvds::kv_c &store, bool absent)
{
    std::string value = "as it was";
    CHECK(store.is_open());
    CHECK_FALSE(store.get("a", value));
    CHECK(value == "as it was");
    CHECK_FALSE(store.exists("a"));
    CHECK(store.set("a", "1"));
    CHECK(store.get("a", value));
    CHECK(value == "1");
    CHECK(store.exists("a"));
    CHECK_FALSE(store.set_nx("a", "2"));
    CHECK(store.set_nx("b", "2"));
    CHECK_FALSE(store.compare_and_swap("a", "2", "3"));
    CHECK_FALSE(store.compare_and_swap("absent", "", "3"));
    CHECK(store.compare_and_swap("a", "1", "3"));
    CHECK(store.set_batch({ { "c", "4" }, { "d", "5" } }));
    CHECK(all(store) == text_map{ { "a", "3" }, { "b", "2" }, { "c", "4" }, { "d", "5" } });
    CHECK(store.delete_batch({ "a", "absent" }));
    CHECK(store.del("b"));
    CHECK(store.del("b") == absent);
    CHECK_FALSE(store.del(std::string(1 << 20, 'k'))); /* an error is false, and not `absent` */
    CHECK(all(store) == text_map{ { "c", "4" }, { "d", "5" } });

    /* Nested iterations that write. */
    int pairs = 0;
    store.iterate("", [&](const std::string &outer, const std::string &) {
        store.iterate("", [&](const std::string &inner, const std::string &) {
            CHECK(store.set(outer + inner, ""));
            pairs++;
            return true;
        });
        return true;
    });
    CHECK(pairs == 2 + 4);
    CHECK(store.delete_batch({ "cc", "cd", "dc", "dd", "dcc", "dcd" }));
    pairs = 0;
    store.iterate("", [&](const std::string &, const std::string &) { return ++pairs < 1; });
    CHECK(pairs == 1);

    const auto thrower = [](const std::string &, const std::string &) -> bool {
        throw std::runtime_error("out");
    };
    CHECK_THROWS_WITH_AS(store.iterate("", thrower), "out", std::runtime_error);
    CHECK(store.exists("c"));
}

/* Checks a closed store. */
void use_closed(kvds::kv_c &store)
{
    std::string value = "as it was";
    CHECK_FALSE(store.is_open());
    CHECK_FALSE(store.get("a", value));
    CHECK(value == "as it was");
    CHECK_FALSE(store.exists("a"));
    CHECK_FALSE(store.set("a", "1"));
    CHECK_FALSE(store.del("a"));
    CHECK_FALSE(store.set_batch({ { "a", "1" } }));
    CHECK_FALSE(store.delete_batch({ "a" }));
    CHECK_FALSE(store.set_nx("a", "1"));
    CHECK_FALSE(store.compare_and_swap("a", "1", "2"));
    CHECK(kvds::last_status() == kvds::status::closed);
    CHECK(all(store).empty());
}

/* Opens, uses and closes a class that programs open themselves. */
template <class Store>
void open_and_close(const std::string &path, bool is_disk)
{
    Store store;
    use_closed(store);
    CHECK_FALSE(store.close());
    CHECK(store.open(path));
    CHECK_FALSE(store.open(path));
    use(store, is_disk);
    CHECK(store.close());
    CHECK_FALSE(store.close());
    use_closed(store);

    CHECK(store.open(path));
    CHECK(store.exists("c") == is_disk);
    CHECK(store.set("c", "again"));

    /* The callback of an iteration closes the store. */
    REQUIRE(store.set("d", ""));
    store.iterate("", [&](const std::string &, const std::string &) {
        CHECK(store.close());
        CHECK_FALSE(store.close());
        CHECK_FALSE(store.exists("c"));
        return false;
    });
    use_closed(store);
}

/* Threads use a store while others open and close it: calls return true or false. */
template <class Store>
void open_and_close_meanwhile(const std::string &path)
{
    Store store;
    std::atomic<bool> done{ false };
    std::vector<std::thread> users;
    for (int t = 0; t < 3; t++)
        users.emplace_back([&, key = std::to_string(t)] {
            std::string value;
            while (!done) {
                store.set(key, std::string(5'000, 'x'));
                if (store.get(key, value))
                    CHECK(value.size() == 5'000);
                store.iterate("", [&](const std::string &inner, const std::string &) {
                    store.exists(inner);
                    return true;
                });
                std::this_thread::yield();
            }
        });
    for (int round = 0; round < 10; round++) {
        /* A reader may keep the files open for a short time. */
        while (!store.open(path))
            std::this_thread::yield();
        CHECK(store.is_open());
        CHECK(store.close());
    }
    done = true;
    for (auto &user : users)
        user.join();
    CHECK_FALSE(store.is_open());
}

/* A store class of a program, each function with `override`. */
class upper_c final : public kvds::kv_c {
public:
    explicit upper_c(kvds::kv_c &below) : below_(below) {}
    bool is_open() const override { return below_.is_open(); }
    bool get(const std::string &key, std::string &value) override
    {
        return below_.get("upper:" + key, value);
    }
    bool exists(const std::string &key) const override { return below_.exists("upper:" + key); }
    void iterate(const std::string &prefix,
                 std::function<bool(const std::string &key, const std::string &value)> callback)
        const override
    {
        below_.iterate("upper:" + prefix, callback);
    }
    bool set(const std::string &key, const std::string &value) override
    {
        return below_.set("upper:" + key, value);
    }
    bool del(const std::string &key) override { return below_.del("upper:" + key); }
    bool set_batch(const std::map<std::string, std::string> &) override { return false; }
    bool delete_batch(const std::vector<std::string> &) override { return false; }
    bool set_nx(const std::string &, const std::string &) override { return false; }
    bool compare_and_swap(const std::string &, const std::string &, const std::string &) override
    {
        return false;
    }

private:
    kvds::kv_c &below_;
};

/* A class of a program that holds a distributor's reference and returns it as a std::shared_ptr. */
class session_c {
public:
    explicit session_c(distributor_c &distributor)
        : store_(distributor.get_or_create_kv_c("session", backend_e::MEMORY))
    {}
    bool good() const { return store_.has_value() && store_.value() && (*store_)->is_open(); }
    std::shared_ptr<kvds::kv_c> store() const { return *store_; }

private:
    store_opt store_;
};

bool is_usable(const std::shared_ptr<kvds::kv_c> &store) { return store && store->is_open(); }

} // namespace

TEST_CASE("the distributor's stores")
{
    for (const backend_e where : backends()) {
        CAPTURE(static_cast<int>(where));
        directory_c directory;
        distributor_c distributor((directory.path / "made" / "here").string());
        auto store = distributor.get_or_create_kv_c("store", where);
        REQUIRE(store.has_value());
        use(**store, where == backend_e::DISK);
        CHECK(std::filesystem::exists(directory.path / "made" / "here" / "store") ==
              (where == backend_e::DISK));

        /* The store outlives the references of the program. */
        kvds::kv_c *const raw = store->get();
        store.reset();
        CHECK(raw->exists("c"));
        const auto again = distributor.get_or_create_kv_c("store", where);
        REQUIRE(again);
        CHECK(again->get() == raw);
        CHECK((*again)->exists("c"));

        const auto other = distributor.get_or_create_kv_c("other", where);
        REQUIRE(other);
        CHECK(*other != *again);
        CHECK_FALSE((*other)->exists("c"));

        CHECK_FALSE(distributor.get_or_create_kv_c("store", static_cast<backend_e>(7)));

        /*
         * Errors are reported when a store is requested, on that thread. Memory stores need no
         * path.
         */
        distributor_c nowhere("\xff");
        std::thread([&] {
            const auto made = nowhere.get_or_create_kv_c("store", where);
            CHECK(made.has_value() == (where == backend_e::MEMORY));
            const bool told = std::string(kvds::last_error()).find("UTF-8") != std::string::npos;
            CHECK(told == (where == backend_e::DISK));
        }).join();
    }
    static_assert(static_cast<int>(backend_e::MEMORY) == 0 &&
                  static_cast<int>(backend_e::DISK) == 1);
}

TEST_CASE("memory and disk stores have names of their own")
{
    directory_c directory;
    distributor_c distributor("");
    auto memory = distributor.get_or_create_kv_c("same", backend_e::MEMORY);
    REQUIRE(memory);
    REQUIRE((*memory)->set("k", "memory"));
    const auto disk = distributor.get_or_create_kv_c("same", backend_e::DISK);
#ifdef KVDS_TEST_NO_DISK
    CHECK_FALSE(disk);
    CHECK(kvds::last_status() == kvds::status::unsupported);
#else
    /* As in the original, an empty path is the current directory. */
    REQUIRE(disk);
    CHECK(std::filesystem::is_directory(directory.path / "same"));
    CHECK_FALSE((*disk)->exists("k"));
    REQUIRE(distributor.get_or_create_kv_c("a/b", backend_e::DISK));
    CHECK(std::filesystem::is_directory(directory.path / "a%2Fb"));

    distributor_c second(directory.path.string());
    CHECK_FALSE(second.get_or_create_kv_c("same", backend_e::DISK));
    CHECK(kvds::last_status() == kvds::status::locked);
#endif
}

TEST_CASE("references: copies, comparison, bool, std::shared_ptr")
{
    for (const backend_e where : backends()) {
        directory_c directory;
        auto distributor = std::make_unique<distributor_c>(directory.path.string());
        store_opt opt;
        CHECK_FALSE(opt.has_value());
        opt = distributor->get_or_create_kv_c("a", where);
        REQUIRE(opt);
        store_ref a = opt.value(), copy = a, none{ nullptr };
        CHECK(a);
        CHECK_FALSE(!a);
        CHECK(!none);
        CHECK(none.get() == nullptr);
        CHECK(a == copy);
        CHECK(a == opt.value());
        CHECK(a != none);
        CHECK(a.get() == distributor->get_or_create_kv_c("a", where)->get());
        none = a;
        store_ref moved = std::move(copy);
        CHECK(moved == none);
        CHECK(&*moved == moved.get());

        CHECK(a->set("k", "v"));
        CHECK((*a).exists("k"));
        kvds::kv_c &plain = *a;
        upper_c upper(plain);
        CHECK(upper.set("k", "upper"));
        CHECK(all(plain, "upper:") == text_map{ { "upper:k", "upper" } });

        std::map<std::string, std::shared_ptr<kvds::kv_c>> held;
        held["a"] = opt.value();
        held.emplace("b", distributor->get_or_create_kv_c("b", where).value());
        const std::shared_ptr<kvds::kv_c> direct(a);
        std::vector<std::shared_ptr<kvds::kv_reader_c>> readers;
        readers.push_back(a);
        CHECK(is_usable(*opt));
        CHECK(is_usable(held["a"]));
        CHECK_FALSE(is_usable(store_ref{ nullptr }));
        CHECK(held["a"].get() == a.get());
        CHECK(held["a"] == direct);
        CHECK(readers.front()->exists("k"));

        /* References of each kind keep working after the distributor is destroyed. */
        distributor.reset();
        CHECK(held["b"]->set("k", "v"));
        opt.reset();
        a = none = moved = store_ref{ nullptr };
        readers.clear();
        CHECK(direct->exists("k"));
        held.erase("a");
        CHECK(direct->set("k", "w"));
    }

    const auto shared = std::make_shared<distributor_c>("unused");
    const session_c session(*shared);
    CHECK(session.good());
    CHECK(session.store()->set("user", "ada"));
    CHECK(is_usable(session.store()));
}

TEST_CASE("a disk store opens again when its distributor and its references are gone")
{
#ifndef KVDS_TEST_NO_DISK
    directory_c directory;
    store_opt kept;
    {
        distributor_c distributor(directory.path.string());
        kept = distributor.get_or_create_kv_c("s", backend_e::DISK);
        REQUIRE(kept);
        REQUIRE((*kept)->set("k", "v"));
    }
    distributor_c next(directory.path.string());
    CHECK_FALSE(next.get_or_create_kv_c("s", backend_e::DISK));
    kept.reset();
    kept = next.get_or_create_kv_c("s", backend_e::DISK);
    REQUIRE(kept);
    CHECK((*kept)->exists("k"));
#endif
}

TEST_CASE("all threads get the same store")
{
    for (const backend_e where : backends()) {
        directory_c directory;
        distributor_c distributor(directory.path.string());
        std::vector<std::thread> threads;
        std::vector<store_opt> stores(8);
        std::atomic<int> wins{ 0 };
        for (auto &store : stores)
            threads.emplace_back([&] {
                store = distributor.get_or_create_kv_c("s", where);
                if (store && (*store)->set_nx("lock", "mine"))
                    wins++;
            });
        for (auto &thread : threads)
            thread.join();
        for (const auto &store : stores) {
            REQUIRE(store);
            CHECK(store->get() == stores.front()->get());
        }
        CHECK(wins == 1);
    }
}

TEST_CASE("memstore_c")
{
    open_and_close<kvds::memstore_c>("", false);
    open_and_close<kvds::memstore_c>("any", false);
    open_and_close_meanwhile<kvds::memstore_c>("any");
    kvds::memstore_c a, b;
    REQUIRE(a.open("same"));
    REQUIRE(b.open("same"));
    CHECK(a.set("k", "v"));
    CHECK_FALSE(b.exists("k"));
}

TEST_CASE("datastore_c")
{
    directory_c directory;
#ifdef KVDS_TEST_NO_DISK
    kvds::datastore_c store;
    use_closed(store);
    CHECK_FALSE(store.open("store"));
    CHECK(kvds::last_status() == kvds::status::unsupported);
    CHECK_FALSE(store.close());
#else
    open_and_close<kvds::datastore_c>((directory.path / "made" / "here").string(), true);
    CHECK(std::filesystem::is_regular_file(directory.path / "made" / "here" / "CURRENT"));
    open_and_close_meanwhile<kvds::datastore_c>("meanwhile");

    kvds::datastore_c first, second;
    REQUIRE(first.open("twice"));
    CHECK_FALSE(second.open("twice"));
    CHECK(kvds::last_status() == kvds::status::locked);
    CHECK(first.close());
    CHECK(second.open("twice"));
#endif
}

#ifndef KVDS_TEST_NO_DISK
TEST_CASE("datastore_c: one directory by all its paths")
{
    directory_c directory;
    const auto writes = [](const std::string &path, const std::string &key) {
        kvds::datastore_c store;
        return store.open(path) && store.set(key, "") && store.close();
    };
    std::filesystem::create_directories("a/b");
    std::filesystem::create_directory_symlink("a/b", "link");
    CHECK(writes("a/b", "relative"));
    CHECK(writes("a/b/", "slash"));
    CHECK(writes("a//b///", "slashes"));
    CHECK(writes("./a/../a/b/.", "dots"));
    CHECK(writes((directory.path / "a" / "b").string(), "absolute"));
    CHECK(writes("link", "link"));
    CHECK(writes("link/", "link/"));
    std::filesystem::create_directory("a/b/lost");
    std::filesystem::current_path("a/b/lost");
    CHECK(writes("..", ".."));
    std::filesystem::current_path("..");
    CHECK(writes(".", "."));
    std::filesystem::current_path(directory.path);

    kvds::datastore_c store;
    REQUIRE(store.open("a/b"));
    std::set<std::string> keys;
    for (const auto &[key, value] : all(store))
        keys.insert(key);
    CHECK(keys == std::set<std::string>{ ".", "..", "absolute", "dots", "link", "link/", "relative",
                                         "slash", "slashes" });

    CHECK(writes("new/", "slash"));
    CHECK(writes("./new", "dot"));
    CHECK(writes("not/there/../yet/", "dots"));
    CHECK(std::filesystem::exists("not/yet/CURRENT"));

    kvds::datastore_c refused;
    for (const std::string path : { "", "a/file/x", "full", "\xff/x", "x\xff", "/proc/x" }) {
        CAPTURE(path);
        std::filesystem::create_directory("full");
        write_file("full/000001.log"); /* the name of a file of stores */
        write_file("a/file");
        CHECK_FALSE(refused.open(path));
        CHECK(kvds::last_status() != kvds::status::ok);
        const std::string why = kvds::last_error();
        CHECK(why != "");
        CHECK(why.find("NULL") == std::string::npos); /* a reason within the program */
        use_closed(refused);
    }
    std::filesystem::create_directory("others");
    write_file("others/README");
    CHECK(refused.open("others"));
    CHECK(refused.close());
    CHECK_FALSE(refused.open(std::string("zero\0byte", 9)));
    CHECK_FALSE(std::filesystem::exists("zero"));
}

/*
 * The directory once had an encoded name: "rm%202" for "rm 2". A program that deleted its directory
 * and opened it again got the old data.
 */
TEST_CASE("datastore_c: the directory has the name that the program gave")
{
    directory_c directory;
    for (const std::string name :
         { "rm 2", "users:1", "a%2Fb", "100%", "\xC3\xA9", "tab\t", ".hidden", "in/rm 2/." }) {
        CAPTURE(name);
        kvds::datastore_c store;
        REQUIRE(store.open(name));
        REQUIRE(store.set("k", "v"));
        REQUIRE(store.close());
        CHECK(std::filesystem::exists(std::filesystem::path(name) / "CURRENT"));
        REQUIRE(store.open(name));
        CHECK(store.exists("k"));
        REQUIRE(store.close());
        CHECK(std::filesystem::remove_all(std::filesystem::path(name).lexically_normal()) > 0);
        REQUIRE(store.open(name));
        CHECK_FALSE(store.exists("k"));
    }
    std::set<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator("."))
        names.insert(entry.path().filename().string());
    CHECK(names == std::set<std::string>{ "rm 2", "users:1", "a%2Fb", "100%", "\xC3\xA9", "tab\t",
                                          ".hidden", "in" });
}
#endif

/* The original accepted any std::string as the id of a memory store. */
TEST_CASE("memory stores: any id")
{
    distributor_c distributor("unused");
    std::vector<std::string> ids = {
        "",
        "\xff",
        "\xC0\x80",
        "\x01",
        "\x01"
        "0",
        "\x01"
        "3",
        "a/b",
        "..",
        "with space",
        std::string(256, 'i'),
        std::string(64 * 1024, 'i'),
        std::string(64 * 1024 + 1, 'i'),
        std::string(1'000'000, 'i'),
    };
    for (const char *zeros : { "\0\0\0", "a\0b", "a\0c" })
        ids.emplace_back(zeros, 3);
    ids.emplace_back("\0", 1);
    ids.emplace_back("a");
    std::map<const kvds::kv_c *, std::string> stores;
    for (const std::string &id : ids) {
        CAPTURE(id.substr(0, 10));
        CAPTURE(id.size());
        const auto store = distributor.get_or_create_kv_c(id, backend_e::MEMORY);
        REQUIRE(store);
        CHECK_FALSE((*store)->exists("id"));
        REQUIRE((*store)->set("id", id));
        stores[store->get()] = id;
    }
    CHECK(stores.size() == ids.size());
    for (const std::string &id : ids) {
        const auto store = distributor.get_or_create_kv_c(id, backend_e::MEMORY);
        REQUIRE(store);
        CHECK(stores.at(store->get()) == id);
    }
}

/*
 * Tests the differences that docs/migrating.md lists and that no other test covers, in its order.
 */
TEST_CASE("differences: errors are returned, not thrown")
{
    directory_c directory;
    write_file("file");
    distributor_c beneath_file("file/beneath");
    CHECK_NOTHROW(CHECK_FALSE(beneath_file.get_or_create_kv_c("s", backend_e::DISK)));
    CHECK(beneath_file.get_or_create_kv_c("s", backend_e::MEMORY));

    distributor_c distributor("made");
    for (const std::string &id :
         { std::string(), std::string("a\0b", 3), std::string("\xff"), std::string(256, 'i') })
        CHECK_NOTHROW(CHECK_FALSE(distributor.get_or_create_kv_c(id, backend_e::DISK)));
    for (const backend_e where : backends()) {
        const auto store = distributor.get_or_create_kv_c("limits", where);
        REQUIRE(store);
        const std::string longest(64 * 1024, 'k'), longer = longest + 'k';
        CHECK((*store)->set(longest, ""));
        CHECK((*store)->exists(longest));
        CHECK_FALSE((*store)->set(longer, ""));
        CHECK(kvds::last_status() == kvds::status::invalid_argument);
        CHECK_FALSE((*store)->exists(longer));
        CHECK_FALSE((*store)->set_batch({ { "short", "" }, { longer, "" } }));
        CHECK_FALSE((*store)->exists("short"));
        int shown = 0;
        (*store)->iterate(longer,
                          [&](const std::string &, const std::string &) { return ++shown > 0; });
        CHECK(shown == 0);
    }
    static_assert(KVDS_MAX_KEY_LEN == 64 * 1024 && KVDS_MAX_VALUE_LEN == 1024 * 1024 * 1024);
}

#ifndef KVDS_TEST_NO_DISK
TEST_CASE("differences: where disk stores are")
{
    directory_c directory;
    {
        distributor_c distributor("base");
        for (const std::string id : { "../up", "a/b", "..", "/abs", "plain-1._", "a b" })
            REQUIRE(distributor.get_or_create_kv_c(id, backend_e::DISK));
    }
    std::set<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator("base"))
        names.insert(entry.path().filename().string());
    CHECK(names ==
          std::set<std::string>{ "..%2Fup", "a%2Fb", "%2E%2E", "%2Fabs", "plain-1._", "a%20b" });
    CHECK_FALSE(std::filesystem::exists("up"));

    /* A datastore_c also creates the directories above. There are no log files. */
    kvds::datastore_c store;
    REQUIRE(store.open("not/there/yet"));
    REQUIRE(store.set("k", "v"));
    for (const auto &entry : std::filesystem::directory_iterator("not/there/yet"))
        CHECK(entry.path().filename().string().rfind("LOG", 0) != 0);

    /* An open store is open under all its names. */
    std::filesystem::create_directory_symlink("yet", "not/there/link");
    kvds::datastore_c second;
    CHECK_FALSE(second.open("not/there/link"));
    CHECK(kvds::last_status() == kvds::status::locked);
}
#endif

TEST_CASE("differences: references")
{
    distributor_c distributor("unused");
    const store_ref ref = distributor.get_or_create_kv_c("a", backend_e::MEMORY).value();
    static_assert(!std::is_convertible_v<store_ref, int>);
    static_assert(
        !std::is_base_of_v<pkg::types::shared_c, std::remove_reference_t<decltype(*ref)>>);
    static_assert(sizeof(store_ref) == sizeof(std::shared_ptr<kvds::kv_c>));
    const store_ref other = distributor.get_or_create_kv_c("b", backend_e::MEMORY).value();
    CHECK((ref < other) != (other < ref));
}

TEST_CASE("pkg::types: shared objects")
{
    class counted_c : public pkg::types::shared_c {
    public:
        counted_c(int &alive, int number) : number(number), alive_(alive) { alive_++; }
        ~counted_c() override { alive_--; }
        const int number;

    private:
        int &alive_;
    };
    int alive = 0;
    {
        pkg::types::shared_obj_c<counted_c> a = pkg::types::make_shared<counted_c>(alive, 7), b = a,
                                            c;
        CHECK(a->number == 7);
        CHECK((*b).number == 7);
        CHECK(a == b);
        CHECK(a != c);
        CHECK(a.get() == b.get());
        CHECK_FALSE(c);
        c = std::move(a);
        CHECK(c);
        CHECK(alive == 1);
        const std::shared_ptr<counted_c> standard = c;
        CHECK(standard->number == 7);
    }
    CHECK(alive == 0);
}

TEST_CASE("pkg::types: lifetimes")
{
    class plain_c : public pkg::types::lifetime_c::observer_if {
    public:
        void death_ind() override { deaths++; }
        int deaths = 0;
    } plain;
    class tagged_c : public pkg::types::lifetime_tagged_c::observer_if {
    public:
        void death_ind(const std::size_t tag) override { tags.push_back(tag); }
        std::vector<std::size_t> tags;
    } tagged;
    {
        const pkg::types::lifetime_c lifetime(plain);
        const pkg::types::lifetime_tagged_c one(tagged, 1), two(tagged, 2);
        CHECK(plain.deaths == 0);
    }
    CHECK(plain.deaths == 1);
    CHECK(tagged.tags == std::vector<std::size_t>{ 2, 1 });
}
