//! Memory and disk space stay within what the header promises.
