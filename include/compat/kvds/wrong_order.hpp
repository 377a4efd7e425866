/*
 * The error for include directories in the wrong order; see order.hpp.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#error "the original package's headers come before those of kvds: " \
    "put include/compat (kvds-compat) first of all -I"
