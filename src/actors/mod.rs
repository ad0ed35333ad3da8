//! Shells around the engines: one folder for each supervised cell.
