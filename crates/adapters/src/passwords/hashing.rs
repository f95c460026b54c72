//! What the threads do.

use std::hint::black_box;
use std::sync::Arc;

use application::passwords::normalised;
use application::ports::Randomness;
use application::ports::passwords::{PasswordHash, PasswordsError, Verified};
use argon2::password_hash::{Error, phc};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use secrecy::{ExposeSecret as _, SecretString};

use super::HashCost;

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// More than anybody should have asked for: a hash that was brought along must not take the memory of
/// the machine, or a thread for minutes.
const MOST: HashCost = HashCost { memory_kib: 1024 * 1024, iterations: 64, lanes: 64 };

/// As bcrypt counts: 2^16 rounds take seconds.
const MOST_BCRYPT_COST: u32 = 16;

const BCRYPT_PREFIXES: [&str; 3] = ["$2a$", "$2b$", "$2y$"];

pub(super) struct Hashing {
    cost: HashCost,
    argon2: Argon2<'static>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl Hashing {
    pub(super) fn new(cost: HashCost, randomness: Arc<dyn Randomness>) -> Option<Self> {
        let HashCost { memory_kib, iterations, lanes } = cost;
        let params = Params::new(memory_kib, iterations, lanes, Some(HASH_BYTES)).ok()?;
        // What is hashed today must be verified tomorrow.
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        (!exceeds(cost)).then_some(Self { cost, argon2, randomness })
    }

    pub(super) fn hash(&self, password: &SecretString) -> Result<PasswordHash, PasswordsError> {
        let mut salt = [0; SALT_BYTES];
        self.randomness.fill(&mut salt).map_err(|_| PasswordsError::NoRandomness)?;
        let password = normalised(password);
        let hash = self.argon2.hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
        hash.map(|hash| PasswordHash::new(hash.to_string())).map_err(|_| PasswordsError::Failed)
    }

    pub(super) fn verify(
        &self,
        password: &SecretString,
        hash: &PasswordHash,
    ) -> Result<Verified, PasswordsError> {
        let text = hash.expose();
        let (right, outdated) = if BCRYPT_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            (verify_bcrypt(password, text)?, true)
        } else {
            self.verify_argon2(password, text)?
        };
        match (right, outdated) {
            (false, _) => Ok(Verified::Wrong),
            (true, false) => Ok(Verified::Right { rehashed: None }),
            (true, true) => Ok(Verified::Right { rehashed: Some(self.hash(password)?) }),
        }
    }

    pub(super) fn verify_nothing(&self, password: &SecretString) -> Result<(), PasswordsError> {
        let password = normalised(password);
        let mut hash = [0; HASH_BYTES];
        let hashed = self.argon2.hash_password_into(
            password.expose_secret().as_bytes(),
            &[0; SALT_BYTES],
            &mut hash,
        );
        black_box(hash);
        hashed.map_err(|_| PasswordsError::Failed)
    }

    /// Whether it is the right one, and whether the hash is outdated.
    fn verify_argon2(
        &self,
        password: &SecretString,
        text: &str,
    ) -> Result<(bool, bool), PasswordsError> {
        let hash = phc::PasswordHash::new(text).map_err(|_| PasswordsError::Unreadable)?;
        let params = Params::try_from(&hash).map_err(|_| PasswordsError::Unreadable)?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str());
        let algorithm = algorithm.map_err(|_| PasswordsError::Unreadable)?;
        let cost = HashCost {
            memory_kib: params.m_cost(),
            iterations: params.t_cost(),
            lanes: params.p_cost(),
        };
        if exceeds(cost) || hash.salt.is_none() || hash.hash.is_none() {
            return Err(PasswordsError::Unreadable);
        }
        let password = normalised(password);
        let verified = self.argon2.verify_password(password.expose_secret().as_bytes(), &hash);
        let right = match verified {
            Ok(()) => true,
            Err(Error::PasswordInvalid) => false,
            Err(Error::OutOfMemory | Error::Internal) => return Err(PasswordsError::Failed),
            Err(_) => return Err(PasswordsError::Unreadable),
        };
        let outdated = algorithm != Algorithm::Argon2id
            || hash.version != Some(Version::V0x13.into())
            || cost.memory_kib < self.cost.memory_kib
            || cost.iterations < self.cost.iterations
            || cost.lanes < self.cost.lanes
            || params.output_len() < Some(HASH_BYTES);
        Ok((right, outdated))
    }
}

fn exceeds(cost: HashCost) -> bool {
    cost.memory_kib > MOST.memory_kib
        || cost.iterations > MOST.iterations
        || cost.lanes > MOST.lanes
}

fn verify_bcrypt(password: &SecretString, text: &str) -> Result<bool, PasswordsError> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| PasswordsError::Unreadable)?;
    if parts.get_cost() > MOST_BCRYPT_COST {
        return Err(PasswordsError::Unreadable);
    }
    let verify = |password: &SecretString| {
        // Of more than 72 bytes the others hashed the first 72, and so does this.
        bcrypt::verify(password.expose_secret(), text).map_err(|_| PasswordsError::Unreadable)
    };
    let other = normalised(password);
    if verify(password)? {
        return Ok(true);
    }
    if other.expose_secret() == password.expose_secret() { Ok(false) } else { verify(&other) }
}
