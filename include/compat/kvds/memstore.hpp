/*
 * The memory store of the original C++ package.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef KVDS_COMPAT_KVDS_MEMSTORE_HPP
#define KVDS_COMPAT_KVDS_MEMSTORE_HPP

#include "kvds.hpp"

namespace kvds {

/** A store in memory of its own. Closed at first; what is in it goes when it is closed. */
class memstore_c : public detail::opened_c {
public:
    /** Opens an empty store; the path is of no account. False if it is open. */
    bool open(const std::string &)
    {
        return front_open(
            [] { return distributor_c().get_or_create("memstore", backend::memory); });
    }
};

} // namespace kvds

#endif /* KVDS_COMPAT_KVDS_MEMSTORE_HPP */
