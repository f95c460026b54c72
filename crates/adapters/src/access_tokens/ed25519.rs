//! Ed25519 by ring, for `jsonwebtoken`.
//!
//! The crate brings two providers of cryptography, neither of which is used: `aws_lc_rs`, which
//! `deny.toml` does not want beside ring, and `rust_crypto`, which comes with RSA, two more curves and
//! older versions of what is in the tree.
//! It asks whichever provider is installed in the process, so this one is installed before its first
//! use. It holds no state, and no algorithm but the one: a token that names another cannot be verified
//! even by mistake.

use application::ports::access_tokens::{PublicKey, Seed};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

/// What stands before a seed in a private key of RFC 8410, the form in which the crate has keys.
const DOCUMENT_HEAD: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(RingSigner::new(*algorithm, key)?)),
    verifier_factory: |algorithm, key| Ok(Box::new(RingVerifier::new(*algorithm, key)?)),
    // For keys that come as JWKs, and none does.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ring the provider of the process; once is enough, more often does nothing.
pub(super) fn install() {
    let _ = RING.install_default();
}

/// The public half of `seed`.
pub(super) fn public_key(seed: &Seed) -> Option<PublicKey> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
    pair.public_key().as_ref().try_into().ok().map(PublicKey::new)
}

/// `seed` as a document of RFC 8410.
pub(super) fn document(seed: &Seed) -> Zeroizing<[u8; 48]> {
    let mut document = Zeroizing::new([0; 48]);
    document[..16].copy_from_slice(&DOCUMENT_HEAD);
    document[16..].copy_from_slice(seed.expose());
    document
}

struct RingSigner(Ed25519KeyPair);

impl RingSigner {
    fn new(algorithm: Algorithm, key: &EncodingKey) -> Result<Self> {
        only_eddsa(algorithm)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes());
        pair.map(Self).map_err(|_| new_error(ErrorKind::InvalidEddsaKey))
    }
}

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct RingVerifier(UnparsedPublicKey<Vec<u8>>);

impl RingVerifier {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self> {
        only_eddsa(algorithm)?;
        Ok(Self(UnparsedPublicKey::new(&ED25519, key.try_get_as_bytes()?.to_vec())))
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        self.0.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

fn only_eddsa(algorithm: Algorithm) -> Result<()> {
    if algorithm == Algorithm::EdDSA {
        Ok(())
    } else {
        Err(new_error(ErrorKind::UnsupportedAlgorithm))
    }
}
