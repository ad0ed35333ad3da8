//! One stored point and one search hit.
