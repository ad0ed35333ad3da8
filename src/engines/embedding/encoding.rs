//! How a vector is cut and written for an answer.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::decimals;
use super::error::EmbedError;
use super::vector::normalize;

/// How an answer writes a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// In base64, else as a list of numbers.
    pub base64: bool,
    /// Only the first so many dimensions, renormalised; `None` writes all.
    pub dims: Option<usize>,
}

/// An answer that holds one vector, as it was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// How it writes the vector.
    pub form: Form,
    /// The name by which it calls the model.
    pub model: Box<str>,
    /// All of it. Shared, so that sending it again copies nothing.
    pub json: Arc<[u8]>,
    /// Where the vector stands in it.
    pub vector: Range<usize>,
}

/// Appends `vector` to `out` as JSON: a list of numbers, or a string in base64.
///
/// Errors: those of [`truncate_dims`]; nothing is written then.
pub fn write_json(vector: &[f32], form: Form, out: &mut Vec<u8>) -> Result<(), EmbedError> {
    let cut;
    let vector = match form.dims {
        Some(dims) => {
            cut = truncate_dims(vector, dims)?;
            &cut
        }
        None => vector,
    };
    if form.base64 {
        out.push(b'"');
        let start = out.len();
        let bytes = le_bytes(vector);
        out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        // There is room for just that.
        let written = STANDARD.encode_slice(bytes, &mut out[start..]);
        debug_assert!(written.is_ok());
        out.push(b'"');
    } else {
        out.push(b'[');
        decimals::write(vector, out);
        out.push(b']');
    }
    Ok(())
}

/// Bytes that [`write_json`] takes for a vector, or some more.
pub fn json_capacity(vector: &[f32], form: Form) -> usize {
    let dims = form.dims.unwrap_or(vector.len()).min(vector.len());
    if form.base64 {
        dims * 16 / 3 + 8
    } else {
        decimals::capacity(dims)
    }
}

fn le_bytes(vector: &[f32]) -> Vec<u8> {
    vector
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Reads OpenAI's `encoding_format: base64`: little-endian 32-bit floats, standard alphabet, padded; `None` where it does not fit.
pub(super) fn f32_of_base64(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (floats, rest) = bytes.as_chunks::<4>();
    let floats = floats.iter().map(|raw| f32::from_le_bytes(*raw));
    rest.is_empty().then(|| floats.collect())
}

/// Returns the first `dims` dimensions of `vector`, scaled back to length 1.
///
/// Errors: [`EmbedError::WrongDimensions`] for none or more than there are;
/// [`EmbedError::ZeroPrefix`].
pub fn truncate_dims(vector: &[f32], dims: usize) -> Result<Vec<f32>, EmbedError> {
    let prefix = match vector.get(..dims) {
        Some(prefix) if dims > 0 => prefix,
        _ => {
            return Err(EmbedError::WrongDimensions {
                got: dims,
                max: vector.len(),
            });
        }
    };
    let mut prefix = prefix.to_vec();
    // The whole vector is normalised already: scaling it again would only add rounding.
    if dims < vector.len() && !normalize(&mut prefix) {
        return Err(EmbedError::ZeroPrefix { dims });
    }
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::error_kind::ErrorKind;

    fn written(vector: &[f32], base64: bool, dims: Option<usize>) -> Result<String, EmbedError> {
        let form = Form { base64, dims };
        let mut out = Vec::new();
        write_json(vector, form, &mut out)?;
        assert!(out.len() <= json_capacity(vector, form));
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn base64_is_little_endian_and_padded() {
        for (vector, expected) in [
            (&[][..], ""),
            (&[1.0][..], "AACAPw=="),
            (&[1.0, -2.5][..], "AACAPwAAIMA="),
        ] {
            let json = written(vector, true, None).unwrap();
            assert_eq!(json, format!("\"{expected}\""));
            assert_eq!(f32_of_base64(expected).as_deref(), Some(vector));
        }
    }

    #[test]
    fn each_form_is_json() {
        let vector = [0.6, 0.0, 0.8];
        for (base64, dims, expected) in [
            (false, None, "[0.6000000238,0.0,0.8000000119]"),
            (false, Some(2), "[1.0,0.0]"),
            (true, Some(1), "\"AACAPw==\""),
        ] {
            assert_eq!(written(&vector, base64, dims).unwrap(), expected);
        }
        assert!(written(&vector, true, Some(0)).is_err());
    }

    #[test]
    fn a_prefix_is_renormalised() {
        let vector = [0.6, 0.0, 0.8];
        assert_eq!(truncate_dims(&vector, 3), Ok(vec![0.6, 0.0, 0.8]));
        assert_eq!(truncate_dims(&vector, 2), Ok(vec![1.0, 0.0]));
        assert_eq!(truncate_dims(&vector, 1), Ok(vec![1.0]));
    }

    #[test]
    fn lengths_that_the_vector_lacks_are_refused() {
        for got in [0, 4, usize::MAX] {
            let error = truncate_dims(&[0.6, 0.0, 0.8], got).unwrap_err();
            assert_eq!(error, EmbedError::WrongDimensions { got, max: 3 });
            assert_eq!(error.kind(), ErrorKind::BadRequest);
        }
        let error = truncate_dims(&[0.0, 1.0], 1).unwrap_err();
        assert_eq!(error, EmbedError::ZeroPrefix { dims: 1 });
    }
}
