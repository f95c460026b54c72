//! Mail by SMTP, to a real server.

mod failures;
mod letters;
mod pool;
mod security;
