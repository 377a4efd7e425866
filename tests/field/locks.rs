//! One writer per directory, whatever else the process does.
