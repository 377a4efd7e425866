/* The file of ctests/compat_references.cpp whose KVDS_COMPAT_SHARED_PTR is the opposite. */
#ifdef KVDS_COMPAT_SHARED_PTR
#undef KVDS_COMPAT_SHARED_PTR
#else
#define KVDS_COMPAT_SHARED_PTR
#endif
#include <kvds/kvds.hpp>

#include <cstring>

using backend_e = kvds::kv_c_distributor_c::kv_c_backend_e;

std::size_t other_way(kvds::kv_c_distributor_c &distributor, const std::string &id,
                      kvds::kv_c *expected);
std::shared_ptr<kvds::kv_c> other_way_holds(kvds::kv_c_distributor_c &distributor,
                                            const std::string &id);
std::uintptr_t other_way_function();

/* Returns the number of references to the store, or 0 if it is not `expected`. */
std::size_t other_way(kvds::kv_c_distributor_c &distributor, const std::string &id,
                      kvds::kv_c *expected)
{
    const auto store = distributor.get_or_create_kv_c(id, backend_e::MEMORY);
#ifdef KVDS_COMPAT_SHARED_PTR
    static_assert(
        std::is_same_v<decltype(store), const std::optional<std::shared_ptr<kvds::kv_c>>>);
#else
    static_assert(
        !std::is_same_v<decltype(store), const std::optional<std::shared_ptr<kvds::kv_c>>>);
#endif
    return store && store->get() == expected ? static_cast<std::size_t>(store->use_count()) : 0;
}

std::shared_ptr<kvds::kv_c> other_way_holds(kvds::kv_c_distributor_c &distributor,
                                            const std::string &id)
{
    const auto store = distributor.get_or_create_kv_c(id, backend_e::MEMORY);
    return store && (*store)->set("k", "v") ? *store : nullptr;
}

/* Returns the address of the function that returns references. */
std::uintptr_t other_way_function()
{
    const auto function = &kvds::kv_c_distributor_c::get_or_create_kv_c;
    std::uintptr_t address;
    std::memcpy(&address, &function, sizeof address);
    return address;
}
