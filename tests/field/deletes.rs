//! Programs that delete much.
