//! Shells around the engines: one folder for each supervised cell.

pub mod chat;
pub mod dataset;
pub mod embedding;
pub mod evidence;
pub mod imports;
pub mod index;
pub mod push;
pub mod review;
pub mod step;
pub mod tables;
mod upstream;
pub mod validation;
