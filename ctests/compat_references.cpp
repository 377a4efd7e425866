/*
 * What programs of the original do with references to stores. In the original since late 2025 they
 * are std::shared_ptr<kvds::kv_c>. This program is compiled twice: with KVDS_COMPAT_SHARED_PTR they
 * are that, and without it they are counted references that do the same.
 */
#include <kvds/datastore.hpp>
#include <kvds/memstore.hpp>

#include <kvds/kvds.hpp>

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include <unistd.h>

using distributor_c = kvds::kv_c_distributor_c;
using backend_e = distributor_c::kv_c_backend_e;
using store_opt =
    decltype(std::declval<distributor_c>().get_or_create_kv_c(std::string(), backend_e::MEMORY));
using store_ref = store_opt::value_type;
using shared = std::shared_ptr<kvds::kv_c>;

#ifdef KVDS_COMPAT_SHARED_PTR
static_assert(std::is_same_v<store_opt, std::optional<std::shared_ptr<kvds::kv_c>>>);
#endif

/* A file of the same program that is compiled with the opposite setting. */
std::size_t other_way(distributor_c &distributor, const std::string &id, kvds::kv_c *expected);
shared other_way_holds(distributor_c &distributor, const std::string &id);
std::uintptr_t other_way_function();

namespace {

store_opt make(distributor_c &distributor, const std::string &id = "store")
{
    return distributor.get_or_create_kv_c(id, backend_e::MEMORY);
}

/* A store class of the program, over a reference of the distributor. */
class logged_c : public kvds::memstore_c {
public:
    bool set(const std::string &key, const std::string &value) override
    {
        ask(key);
        store(key);
        return kvds::memstore_c::set(key, value);
    }
    std::vector<std::string> log;

private:
    /* Names that mean something else inside of kvds. They must not override or hide anything. */
    bool store(const std::string &key) const { return store_ == key; }
    void ask(const std::string &key) { log.push_back(key); }
    int held() const { return mutex_; }
    std::string store_;
    int mutex_ = 0;
};

class mirrored_c : public kvds::datastore_c {
public:
    explicit mirrored_c(kvds::kv_c &mirror) : mirror_(mirror) {}
    ~mirrored_c() override { ended++; }
    bool set(const std::string &key, const std::string &value) override
    {
        return mirror_.set(key, value) && datastore_c::set(key, value);
    }
    static int ended;

private:
    kvds::kv_c &mirror_;
};

int mirrored_c::ended = 0;

} // namespace

TEST_CASE("reset, use_count, swap, element_type")
{
    distributor_c distributor("unused");
    auto a = make(distributor, "a").value();
    CHECK(a.use_count() == 2); /* one belongs to the distributor */
    auto copy = a;
    CHECK(a.use_count() == 3);
    CHECK(copy.use_count() == 3);
    copy.reset();
    CHECK_FALSE(copy);
    CHECK(copy.use_count() == 0);
    CHECK(a.use_count() == 2);

    auto b = make(distributor, "b").value();
    auto *const was_a = a.get(), *const was_b = b.get();
    a.swap(b);
    CHECK((a.get() == was_b && b.get() == was_a));
    using std::swap;
    swap(a, b);
    CHECK((a.get() == was_a && b.get() == was_b));
    std::swap(a, b);
    CHECK((a.get() == was_b && b.get() == was_a));

    static_assert(std::is_base_of_v<kvds::kv_c, decltype(a)::element_type>);
    static_assert(std::is_convertible_v<decltype(b)::element_type *, kvds::kv_c *>);
    static_assert(std::is_same_v<decltype(b.get()), store_ref::element_type *>);
    a = nullptr;
    CHECK(a == nullptr);
    CHECK(nullptr == a);
    CHECK(b != nullptr);
}

TEST_CASE("a std::weak_ptr ends with the last reference, of whatever kind")
{
    auto distributor = std::make_unique<distributor_c>("unused");
    std::weak_ptr<kvds::kv_c> weak, again;
    {
        auto opt = make(*distributor);
        REQUIRE(opt);
        weak = *opt;
        const std::weak_ptr<kvds::kv_c> initialized = *opt;
        again = initialized;
        CHECK(weak.lock() == *opt);
        CHECK_FALSE((weak.owner_before(again) || again.owner_before(weak)));
    }
    CHECK_FALSE(weak.expired()); /* the distributor keeps it */
    auto kept = make(*distributor).value();
    distributor.reset();
    REQUIRE_FALSE(weak.expired());
    CHECK(weak.lock()->set("k", "v"));
    shared held = weak.lock();
    kept.reset();
    CHECK(held->exists("k"));
    CHECK(held.use_count() == 1);
    held.reset();
    CHECK(weak.expired());
    CHECK(weak.lock() == nullptr);
    CHECK(again.expired());
}

TEST_CASE("comparison, order, hash")
{
    distributor_c distributor("unused");
    const auto a = make(distributor, "a").value(), b = make(distributor, "b").value(),
               a2 = make(distributor, "a").value();
    const shared held = a, other = b;
    CHECK(a == a2);
    CHECK(a != b);
    CHECK((a == held && held == a && a != other && other != a));
    CHECK((a < b) == (a.get() < b.get()));
    CHECK((a < b) != (b < a));
    CHECK((a > b) == (b < a));
    CHECK_FALSE((a < a2 || a2 < a));
    CHECK((a <= a2 && a >= a2));
    CHECK((held < other) == (a < b));
    CHECK((a < other) == (a < b));
    CHECK(a.owner_before(b) != b.owner_before(a));
    CHECK_FALSE((a.owner_before(held) || held.owner_before(a)));
    CHECK_FALSE(a.owner_before(std::weak_ptr<kvds::kv_c>(held)));

    CHECK(std::set{ a, b, a2 }.size() == 2);
    CHECK(std::unordered_set<store_ref>{ a, b, a2 }.size() == 2);
    CHECK(std::hash<store_ref>()(a) == std::hash<store_ref>()(a2));
    std::unordered_map<shared, int> seen{ { a, 1 }, { b, 2 } };
    CHECK(seen.at(a2) == 1);
    std::map<shared, int, std::owner_less<shared>> owned{ { a, 1 }, { b, 2 } };
    CHECK(owned.at(held) == 1);
}

TEST_CASE("pointer casts and aliasing")
{
    auto distributor = std::make_unique<distributor_c>("unused");
    auto ref = make(*distributor).value();
    const std::shared_ptr<kvds::kv_reader_c> reader =
        std::static_pointer_cast<kvds::kv_reader_c>(ref);
    const auto writer = std::dynamic_pointer_cast<kvds::kv_writer_c>(ref);
    const auto constant =
        std::const_pointer_cast<const kvds::kv_c>(std::static_pointer_cast<kvds::kv_c>(ref));
    CHECK(std::dynamic_pointer_cast<kvds::memstore_c>(ref) == nullptr);
    REQUIRE(writer);
    CHECK(writer->set("k", "v"));
    CHECK(reader->exists("k"));
    CHECK(constant->exists("k"));
    CHECK(ref.use_count() == 5);

    /* An object of the program that keeps the store alive. */
    static const int part = 7;
    const std::shared_ptr<const int> alias(ref, &part);
    const std::weak_ptr<kvds::kv_c> weak = ref;
    ref.reset();
    distributor.reset();
    CHECK_FALSE(weak.expired());
    CHECK(*alias == 7);
    CHECK_FALSE((alias.owner_before(reader) || reader.owner_before(alias)));
}

TEST_CASE("references beside store classes of the program")
{
    distributor_c distributor("unused");
    std::vector<shared> stores;
    stores.push_back(make(distributor).value());
    const std::optional<shared> opt = make(distributor);
    REQUIRE(opt);
    CHECK(*opt == stores[0]);
    const auto own = std::make_shared<logged_c>();
    REQUIRE(own->open(""));
    stores.push_back(own);
    for (const auto &store : stores)
        CHECK(store->set("k", "v"));
    CHECK(own->log == std::vector<std::string>{ "k" });
#ifdef KVDS_COMPAT_SHARED_PTR
    auto either = make(distributor).value();
    either = own;
    CHECK(either->exists("k"));
    either = std::make_shared<kvds::memstore_c>();
    CHECK_FALSE(either->is_open());
    /* A reference does not convert to a number, and to bool only on request. */
    static_assert(!std::is_convertible_v<store_ref, bool>);
#else
    /* The members of counted references of the original. */
    auto counted = make(distributor).value();
    pkg::types::shared_obj_c copy(counted);
    static_assert(std::is_same_v<decltype(copy), store_ref>);
    CHECK(copy.ptr() == counted.get());
    const store_ref of_pointer(counted.get());
    CHECK(of_pointer == counted);
    CHECK(counted->refCount() == counted.use_count());
    CHECK(counted->refCount() == 6);
    counted.reset(make(distributor, "other")->get());
    CHECK(counted != copy);
    CHECK(counted.use_count() == 2);
    const bool some = counted;
    CHECK(some);
#endif
}

TEST_CASE("all threads get the same object, and lose none of its references")
{
    auto distributor = std::make_unique<distributor_c>("unused");
    std::weak_ptr<kvds::kv_c> weak;
    {
        const auto first = make(*distributor).value();
        weak = first;
        std::atomic<int> others{ 0 };
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++)
            threads.emplace_back([&] {
                for (int i = 0; i < 500; i++) {
                    const auto mine = make(*distributor).value();
                    const shared held = mine;
                    const auto locked = weak.lock();
                    if (mine != first || held != locked)
                        others++;
                }
            });
        for (auto &thread : threads)
            thread.join();
        CHECK(others == 0);
        CHECK(first.use_count() == 2);
    }
    distributor.reset();
    CHECK(weak.expired());
}

TEST_CASE("a program of which one file defines KVDS_COMPAT_SHARED_PTR and another does not")
{
    /* One symbol for both would return one type to a caller that expects the other. */
    const auto function = &distributor_c::get_or_create_kv_c;
    std::uintptr_t address;
    std::memcpy(&address, &function, sizeof address);
    CHECK(address != other_way_function());

    auto distributor = std::make_unique<distributor_c>("unused");
    const auto mine = make(*distributor, "mine").value();
    CHECK(other_way(*distributor, "mine", mine.get()) == 3);
    shared theirs = other_way_holds(*distributor, "theirs");
    REQUIRE(theirs);
    auto same = make(*distributor, "theirs").value();
    CHECK(same == theirs);
    CHECK(same.use_count() == 3);
    const std::weak_ptr<kvds::kv_c> weak = same;
    distributor.reset();
    same.reset();
    CHECK(theirs->exists("k"));
    theirs.reset();
    CHECK(weak.expired());
}

TEST_CASE("classes that derive from memstore_c and datastore_c")
{
    logged_c logged;
    CHECK_FALSE(logged.set("closed", ""));
    REQUIRE(logged.open("any"));
    kvds::kv_c &plain = logged;
    CHECK(plain.set("k", "v"));
    CHECK(plain.exists("k"));
    CHECK(logged.set_nx("l", "w"));
    CHECK(logged.log == std::vector<std::string>{ "closed", "k" });
    CHECK(logged.close());

    std::string path = (std::filesystem::temp_directory_path() / "references-XXXXXX").string();
    REQUIRE(mkdtemp(path.data()) != nullptr);
    REQUIRE(logged.open(""));
    {
        /* Destroyed through each base class. */
        const std::unique_ptr<kvds::datastore_c> store = std::make_unique<mirrored_c>(logged);
        const std::unique_ptr<kvds::kv_reader_c> reader = std::make_unique<mirrored_c>(logged);
#ifndef KVDS_TEST_NO_DISK
        REQUIRE(store->open(path + "/store"));
        CHECK(store->set("on disk", "too"));
        CHECK(store->exists("on disk"));
        CHECK(logged.exists("on disk"));
        CHECK_FALSE(reader->exists("on disk"));
#endif
    }
    CHECK(mirrored_c::ended == 2);
    std::filesystem::remove_all(path);
}
