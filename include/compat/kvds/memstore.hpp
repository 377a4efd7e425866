/*
 * The memory store of the original C++ package.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef KVDS_COMPAT_KVDS_MEMSTORE_HPP
#define KVDS_COMPAT_KVDS_MEMSTORE_HPP

#include "kvds.hpp"

namespace kvds {

/** A memory store without a name. It is closed until open() is called; close() drops its data. */
class memstore_c : public detail::opened_c {
public:
    /** Opens an empty store; the path is ignored. Returns false if this object is open. */
    bool open(const std::string &)
    {
        return front_open(
            [] { return distributor_c().get_or_create("memstore", backend::memory); });
    }
};

} // namespace kvds

#endif /* KVDS_COMPAT_KVDS_MEMSTORE_HPP */
