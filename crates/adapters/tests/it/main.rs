//! The adapters against what is really there.

#![expect(clippy::unwrap_used, reason = "helpers of tests, in which the lint allows it")]

mod smtp;
mod support;
