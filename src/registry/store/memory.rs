//! A store in memory for tests: can fail like a full disk, and survives the registry like a file.
