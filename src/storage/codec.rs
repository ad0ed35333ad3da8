//! Values to bytes and back. The only user of bincode.
//!
//! The bytes carry no version of their own: the format byte of the file they stand in says how to
//! read them (see [`wal`](super::wal) and [`snapshot`](super::snapshot)), so that another codec can
//! follow this one.

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::disk::StorageError;

/// Most bytes that one record's body may hold: 256 MiB.
pub const MAX_BODY_BYTES: u64 = 256 << 20;

/// Little-endian, fixed-width integers, bounded, nothing left over.
fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(MAX_BODY_BYTES)
        .reject_trailing_bytes()
}

/// Encodes `value`.
///
/// Errors: [`StorageError::TooLarge`] over [`MAX_BODY_BYTES`].
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, StorageError> {
    options().serialize(value).map_err(|error| match *error {
        bincode::ErrorKind::SizeLimit => StorageError::TooLarge {
            got: bincode::serialized_size(value).unwrap_or(u64::MAX),
            limit: MAX_BODY_BYTES,
        },
        other => StorageError::Codec {
            action: "encode",
            reason: other.to_string(),
        },
    })
}

/// Decodes a value that [`encode`] wrote. All bytes must be used up.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    options()
        .deserialize(bytes)
        .map_err(|error| StorageError::Codec {
            action: "decode",
            reason: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::error_kind::ErrorKind;

    type Sample = (String, Vec<f32>, Option<String>, Vec<(String, i64)>);

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(
            sample: (String, Vec<f32>, Option<String>, Vec<(String, i64)>)
        ) {
            let bytes = encode(&sample).unwrap();
            let back: Sample = decode(&bytes).unwrap();
            prop_assert_eq!(encode(&back).unwrap(), bytes);
        }

        #[test]
        fn hostile_bytes_are_an_error_and_never_a_panic(bytes: Vec<u8>) {
            if let Ok(value) = decode::<Sample>(&bytes) {
                prop_assert_eq!(encode(&value).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn a_length_beyond_the_bytes_does_not_allocate() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend([0; 8]);
        assert!(decode::<Vec<f32>>(&bytes).is_err());
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        let mut bytes = encode("abc").unwrap();
        bytes.push(0);
        assert!(decode::<String>(&bytes).is_err());
    }

    #[test]
    fn too_much_is_refused_with_its_size() {
        let text = String::from_utf8(vec![0; 256 << 20]).unwrap();
        let error = encode(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("268435464 bytes"), "{error}");
    }
}
