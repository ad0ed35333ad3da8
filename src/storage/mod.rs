//! Bytes on disk, synchronous: codec, disk, write-ahead log, snapshots, evidence log.
