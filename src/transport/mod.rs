//! The only user of reqwest: an HttpCall in, an HttpReply or a byte stream out.
