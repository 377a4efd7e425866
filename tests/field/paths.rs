//! Calls that take a path, on file systems that do not cooperate.
