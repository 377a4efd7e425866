/*
 * sessions: sharing stores among the parts of a program, with the C++ facade of kvds.
 *
 * Parts of a program ask the distributor for a store by name and hold it by a counted reference. A
 * part that is given a scope of a store reaches nothing else of it. When the last reference goes,
 * the store does, and an observer is told.
 *
 *     c++ -std=c++17 sessions.cpp -lkvds -o sessions
 *     ./sessions
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <kvds.hpp>

#include <cstdlib>
#include <iostream>
#include <stdexcept>

using store_ref = kvds::shared_obj_c<kvds::store_c>;

/* The sessions of one user. It can be given any kv_c: a store, a scope of one, or something of the program's own. */
class sessions_c {
public:
    explicit sessions_c(std::shared_ptr<kvds::kv_c> store) : store_(std::move(store)) {}

    bool begin(const std::string &id, const std::string &device)
    {
        return store_->set_nx(id, device);
    }
    bool end(const std::string &id) { return store_->del(id); }
    int count() const
    {
        int sessions = 0;
        store_->iterate("", [&](const std::string &, const std::string &) {
            sessions++;
            return true;
        });
        return sessions;
    }

private:
    std::shared_ptr<kvds::kv_c> store_;
};

/* What the distributor or a store was to give; it says why if it gave nothing. */
static store_ref given(std::optional<store_ref> store)
{
    if (!store)
        throw std::runtime_error(kvds::last_error());
    return *store;
}

static void tell_the_story()
{
    const kvds::distributor_c distributor;
    distributor.observe(
        [](std::uint64_t, std::string_view id, kvds::backend) { std::cout << id << " is gone\n"; });

    store_ref all = given(distributor.get_or_create("sessions", kvds::backend::memory));
    sessions_c of_ada(given(all->scope("ada/"))), of_bob(given(all->scope("bob/")));
    of_ada.begin("1", "phone");
    of_ada.begin("2", "laptop");
    of_bob.begin("1", "tablet");
    std::cout << (of_bob.begin("1", "phone") ? "begun twice\n" : "bob has a session 1 already\n");
    of_ada.end("1");
    std::cout << "ada has " << of_ada.count() << ", bob has " << of_bob.count() << '\n';

    for (auto [session, device] : all->scan())
        std::cout << "  " << session << ": " << device << '\n';
    all = nullptr; /* the scopes keep the store alive, until the end of this function */
    std::cout << "ada still has " << of_ada.count() << '\n';
}

int main()
{
    try {
        tell_the_story();
        return EXIT_SUCCESS;
    } catch (const std::exception &failure) {
        std::cerr << "sessions: " << failure.what() << '\n';
        return EXIT_FAILURE;
    }
}
