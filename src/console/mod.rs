//! The web console, server-rendered, its assets compiled in.
