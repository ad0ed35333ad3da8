//! Plain data shared by every layer: no behaviour beyond construction and (de)serialisation.

pub mod api_key;
pub mod chat;
pub mod collection;
pub mod demand;
pub mod error_kind;
pub mod evidence;
pub mod export;
pub mod foreign;
pub mod http;
pub mod plain;
pub mod point;
pub mod roster;
pub mod trace;
pub mod traffic;
pub mod usage;
pub mod validation;
