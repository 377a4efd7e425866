// A program that was written against the original C++ package.

#include <kvds/kvds.hpp>

#include <iostream>

int main(int, char **arguments)
{
    kvds::kv_c_distributor_c distributor(arguments[1]);
    const auto store =
        distributor.get_or_create_kv_c("births", kvds::kv_c_distributor_c::kv_c_backend_e::DISK);
    std::string born;
    if (!store.has_value() || !(*store)->set("ada", "1815") || !(*store)->get("ada", born) ||
        born != "1815")
        return 1;
    std::cout << "a program of the original package works\n";
    return 0;
}
