// A program of a user, in C++: a store on disk, iterated in order, and an exception that comes
// through the iteration.

#include <kvds.hpp>

#include <iostream>
#include <stdexcept>

static void expect(bool condition, const char *what)
{
    if (!condition)
        throw std::runtime_error(std::string(what) + ": " + kvds::last_error());
}

int main(int, char **arguments)
try {
    const kvds::distributor_c distributor(arguments[1]);
    const auto births = distributor.get_or_create("births", kvds::backend::disk);
    expect(births.has_value(), "opening");
    kvds::store_c &store = **births;
    expect(store.set("alan", "1912") && store.set("ada", "1815"), "writing");
    std::string keys;
    for (auto [key, value] : store.scan("a"))
        keys.append(key).append(" ");
    expect(keys == "ada alan ", "iterating");
    bool caught = false;
    try {
        store.iterate("",
                      [](auto, auto) -> bool { throw std::runtime_error("out of the callback"); });
    } catch (const std::runtime_error &) {
        caught = true;
    }
    expect(caught, "an exception");
    std::cout << "kvds " << kvds::version() << " works\n";
    return 0;
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
