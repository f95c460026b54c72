//! Real implementations of the application's ports, one file each.
