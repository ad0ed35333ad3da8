//! An HTTP exchange as data: what a sans-I/O engine asks for, what transport brings back.
