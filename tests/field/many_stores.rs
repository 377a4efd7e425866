//! Programs with many stores, and small ones.
