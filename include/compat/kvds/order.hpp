/*
 * Checks the order of the include directories: whether the compiler finds these headers, and not
 * those that the original package has under the same names. Each of these headers includes this
 * one.
 *
 * If the original's directory has all of its headers and comes first, a program reads none of
 * these. `-include kvds/order.hpp` on the compiler's command line finds that out too.
 *
 * How: each header is included by the name that programs use, with KVDS_COMPAT_PROBE defined. One
 * of these then defines a macro and nothing else.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef KVDS_COMPAT_KVDS_ORDER_HPP
#define KVDS_COMPAT_KVDS_ORDER_HPP

#define KVDS_COMPAT_PROBE

// A program may include these headers by a path, with no include directory for them. Then there is
// no order.
#if __has_include(<kvds/kvds.hpp>)
#define KVDS_COMPAT_PROBE_KVDS
#include <kvds/kvds.hpp>
#undef KVDS_COMPAT_PROBE_KVDS
#ifndef KVDS_COMPAT_FOUND_KVDS
#include "wrong_order.hpp"
#endif
#endif

#if __has_include(<types/lifetime.hpp>)
#include <types/lifetime.hpp>
#ifndef KVDS_COMPAT_FOUND_LIFETIME
#include "wrong_order.hpp"
#endif
#endif

#if __has_include(<types/shared_obj.hpp>)
#include <types/shared_obj.hpp>
#ifndef KVDS_COMPAT_FOUND_SHARED_OBJ
#include "wrong_order.hpp"
#endif
#endif

#undef KVDS_COMPAT_PROBE

#endif /* KVDS_COMPAT_KVDS_ORDER_HPP */
