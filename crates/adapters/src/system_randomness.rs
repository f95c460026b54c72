//! Random bytes of the operating system.

use application::ports::{NoRandomness, Randomness};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Asks the operating system each time; nothing is kept that could be guessed from.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        SystemRandom::new().fill(bytes).map_err(|_| NoRandomness)
    }
}
