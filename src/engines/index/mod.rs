//! Collections in memory: planner, backends, filter, lexical, fusion.
