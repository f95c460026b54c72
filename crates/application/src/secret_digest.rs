//! Digests of secrets that were made of enough random bits.
//!
//! A secret of 80 bits or more cannot be found by trying, so a plain SHA-256 keeps it, without salt,
//! and can be looked up by an index. What people choose themselves is for
//! [`Passwords`](crate::ports::passwords::Passwords).

macro_rules! secret_digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes `bytes` as a digest that was kept.
            #[must_use]
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes, to be kept.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The digest of `secret`.
            fn of_bytes(secret: &[u8]) -> Self {
                use sha2::Digest as _;
                Self(sha2::Sha256::digest(secret).into())
            }
        }

        /// Takes as long wherever they differ.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                use subtle::ConstantTimeEq as _;
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Eq for $name {}

        /// Shows nothing: who has the digest can tell the secret when he sees it.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

pub(crate) use secret_digest;
