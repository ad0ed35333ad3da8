//! A chat request and its answer, in the normalised form that every provider converts from and to.
