//! Cursors: opaque, signed, good for the one query they were given out by.
//!
//! A cursor holds the sort key of the last item of its page, so a page begins behind that item
//! whatever was written meanwhile. The signature covers the address and every other parameter of
//! the query: a cursor of one filter or sort cannot be used with another, and nobody can make up a
//! place to begin.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgPool;

/// How many bytes of a cursor are its signature.
const SIGNATURE: usize = 32;

/// Makes cursors and reads them. All processes on one database have the same key, which lies there.
#[derive(Debug, Clone)]
pub struct Cursors {
    key: hmac::Key,
}

impl Cursors {
    /// Reads the key.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn load(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let key = sqlx::query_scalar!("SELECT key FROM http.cursor_key").fetch_one(pool).await?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key) })
    }

    /// The cursor of a page of `query` that ends with `key`.
    pub(crate) fn seal<K: Serialize>(
        &self,
        query: &str,
        key: &K,
    ) -> Result<String, serde_json::Error> {
        let mut bytes = serde_json::to_vec(key)?;
        let signature = hmac::sign(&self.key, &signed(query, &bytes));
        bytes.extend(signature.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Behind what the page of `query` begins that `cursor` leads to; nothing if it was not given
    /// out for that query.
    pub(crate) fn open<K: DeserializeOwned>(&self, query: &str, cursor: &str) -> Option<K> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (key, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        hmac::verify(&self.key, &signed(query, key), signature).ok()?;
        serde_json::from_slice(key).ok()
    }
}

fn signed(query: &str, key: &[u8]) -> Vec<u8> {
    // No query holds this byte, so no two pairs are the same text.
    [query.as_bytes(), &[0xff], key].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursors(secret: &[u8]) -> Cursors {
        Cursors { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_for_its_query_alone(
            query in ".*", other in ".*", key: (i64, String), at: prop::sample::Index, bit in 0_u8..8,
        ) {
            let ours = cursors(b"secret");
            let cursor = ours.seal(&query, &key).unwrap();
            prop_assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(ours.open::<(i64, String)>(&query, &cursor), Some(key.clone()));
            if other != query {
                prop_assert_eq!(ours.open::<(i64, String)>(&other, &cursor), None);
            }
            prop_assert_eq!(cursors(b"other").open::<(i64, String)>(&query, &cursor), None);
            let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let touched = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(ours.open::<(i64, String)>(&query, &touched), None);
        }

        #[test]
        fn what_nobody_gave_out_does_not_open(query in ".*", cursor in ".*") {
            prop_assert_eq!(cursors(b"secret").open::<i64>(&query, &cursor), None);
        }
    }
}
