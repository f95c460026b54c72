//! The second factor: a code of the moment, and codes for when the device is lost.
//!
//! Pure: times, secrets and what was used before come in, what is to be kept goes out.

pub mod recovery;
pub mod totp;

pub use recovery::{RecoveryCode, RecoveryDigest};
pub use totp::{TotpSecret, TotpStep};
