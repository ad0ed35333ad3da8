//! A key as text: `bh_`, 8 hex digits that name it, `_`, 64 that are secret, 8 of a checksum.
//!
//! The form lets scanners of secrets find a key in places where it should not be, and lets a mistyped one be told
//! from a revoked one without a look at the file.

/// What every key begins with.
const PREFIX: &str = "bh_";
const ID_DIGITS: usize = 8;
const SECRET_DIGITS: usize = 64;
const CHECK_DIGITS: usize = 8;
const LENGTH: usize = PREFIX.len() + ID_DIGITS + 1 + SECRET_DIGITS + CHECK_DIGITS;

/// Random bytes for one key: its id, its secret, its salt.
pub type Random = [u8; 68];

/// A key that was just made.
pub struct MintedKey {
    /// The key itself, to be shown once.
    pub token: String,
    /// Its id.
    pub id: String,
    /// Hex of its salt.
    pub salt: String,
    /// Hex of what checks it.
    pub hash: String,
}

/// Makes a key of random bytes.
pub fn mint(random: &Random) -> MintedKey {
    let id = hex(&random[..4]);
    let mut salt = [0; 32];
    salt.copy_from_slice(&random[36..]);
    let mut token = format!("{PREFIX}{id}_{}", hex(&random[4..36]));
    let check = crc32c::crc32c(token.as_bytes());
    token.push_str(&format!("{check:08x}"));
    MintedKey {
        hash: hash(&salt, &token).to_hex().to_string(),
        salt: hex(&salt),
        token,
        id,
    }
}

/// What is kept of a key.
pub(super) fn hash(salt: &[u8; 32], token: &str) -> blake3::Hash {
    blake3::keyed_hash(salt, token.as_bytes())
}

/// The id that a key names, unless it is none of ours, or mistyped.
pub(super) fn id_of(token: &str) -> Option<&str> {
    if token.len() != LENGTH || !token.is_ascii() {
        return None;
    }
    let (told, check) = token.split_at(LENGTH - CHECK_DIGITS);
    let (id, secret) = told.strip_prefix(PREFIX)?.split_once('_')?;
    let sane = id.len() == ID_DIGITS && secret.len() == SECRET_DIGITS;
    let check = u32::from_str_radix(check, 16).ok()?;
    (sane && check == crc32c::crc32c(told.as_bytes())).then_some(id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_id_and_a_mistyped_one_names_nothing() {
        let mut random: Random = [7; 68];
        random[0] = 0xab;
        let minted = mint(&random);
        assert_eq!(minted.token.len(), LENGTH);
        assert_eq!(minted.id, "ab070707");
        assert_eq!(id_of(&minted.token), Some("ab070707"));
        let mut wrong = vec![
            String::new(),
            "bh_".to_owned(),
            "sk-test".to_owned(),
            minted.token.replace("bh_", "bx_"),
            minted.token.to_uppercase(),
            format!("{}0", minted.token),
            "ü".repeat(LENGTH / 2),
        ];
        // Any one digit that is another.
        for at in PREFIX.len()..LENGTH {
            let mut bytes = minted.token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            wrong.push(String::from_utf8(bytes).unwrap());
        }
        for wrong in wrong {
            assert_eq!(id_of(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_depends_on_the_salt_and_holds_no_secret() {
        let mut random: Random = [1; 68];
        random[67] = 2;
        let one = mint(&random);
        random[67] = 3;
        let two = mint(&random);
        assert_eq!(one.token, two.token);
        assert_ne!(one.hash, two.hash);
        for kept in [&one.hash, &one.salt, &one.id] {
            assert!(!kept.contains(&one.token[12..76]));
        }
    }
}
