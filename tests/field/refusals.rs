//! What the system refuses: threads, links, room, syncs.
