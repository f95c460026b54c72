//! Refresh tokens: which session, the how manieth, and proof of both.
//!
//! The proof is an HMAC under a key that the database never sees, so nothing has to be kept of a token
//! that was replaced, and yet it is known for one when it comes again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::SessionId;
use eventstore::Digests;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// What they begin with, so that people and programs that look for secrets know one.
const PREFIX: &str = "anr_";

/// What goes into the tokens of one session.
pub(super) type Salt = [u8; 16];

/// What a token says: nothing is proved of it yet.
pub(super) struct Presented {
    pub(super) session: SessionId,
    pub(super) number: i32,
    proof: [u8; 32],
}

/// The token `number` of `session`.
pub(super) fn make(
    digests: &Digests,
    session: SessionId,
    salt: &[u8],
    number: i32,
) -> SecretString {
    let mut bytes = session.get().as_bytes().to_vec();
    bytes.extend(number.to_be_bytes());
    bytes.extend(prove(digests, session, salt, number));
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)).into()
}

fn prove(digests: &Digests, session: SessionId, salt: &[u8], number: i32) -> [u8; 32] {
    digests.of("identity.refresh-token", &[session.get().as_bytes(), salt, &number.to_be_bytes()])
}

/// Reads a token.
pub(super) fn read(token: &SecretString) -> Option<Presented> {
    let encoded = token.expose_secret().strip_prefix(PREFIX)?;
    let bytes: [u8; 52] = URL_SAFE_NO_PAD.decode(encoded).ok()?.try_into().ok()?;
    let (session, rest) = bytes.split_first_chunk::<16>()?;
    let (number, proof) = rest.split_first_chunk::<4>()?;
    Some(Presented {
        session: SessionId::new(Uuid::from_bytes(*session)),
        number: i32::from_be_bytes(*number),
        proof: proof.try_into().ok()?,
    })
}

impl Presented {
    /// Whether it was given out.
    pub(super) fn is_ours(&self, digests: &Digests, salt: &[u8]) -> bool {
        let proof = prove(digests, self.session, salt, self.number);
        self.number > 0 && bool::from(proof.ct_eq(&self.proof))
    }
}
