/*
 * Observed lifetimes under the names they had in the original C++ package: pkg::types::lifetime_c, lifetime_tagged_c.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef KVDS_COMPAT_TYPES_LIFETIME_HPP
#define KVDS_COMPAT_TYPES_LIFETIME_HPP

#include "../../kvds.hpp"

namespace pkg::types {

using kvds::lifetime_c;
using kvds::lifetime_tagged_c;

} // namespace pkg::types

#endif /* KVDS_COMPAT_TYPES_LIFETIME_HPP */
