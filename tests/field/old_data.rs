//! Stores that other programs wrote.
