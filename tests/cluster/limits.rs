//! The limits of a cluster, on real servers.
