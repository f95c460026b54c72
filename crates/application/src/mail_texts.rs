//! What is mailed: a function for each mail that answers its words, one file each.
//!
//! Plain text and HTML are made from the same paragraphs by `letter`, so neither says what the
//! other does not, and the HTML is escaped in one place. No template language: no mail has a
//! condition or a loop.
//!
//! A token is in the fragment of its link, which browsers do not send: it reaches the log of no
//! server and no proxy. It is in the text as well, for whoever cannot follow the link.
//!
//! What somebody else chose (the name of an organization, what a browser says of itself) is
//! shortened and loses what could end a line or turn its direction; a mail to an address that nobody
//! has confirmed yet holds nothing of the kind. Such words can still look like an address, and mail
//! programs then make a link of it.
//!
//! One more mail: a file here with a function that answers a [`Letter`], a case in `tests`, and a
//! row in docs/mail.md.

mod client_url;
mod letter;
mod ticket;
mod words;

mod address_changed;
mod address_verification;
mod invitation;
mod new_address;
mod new_device;
mod password_changed;
mod password_reset;
mod repeated_registration;
mod second_factor_disabled;
mod second_factor_enabled;

pub use client_url::{ClientUrl, InvalidClientUrl};
pub use letter::Letter;
pub use ticket::Ticket;

pub use address_changed::address_changed;
pub use address_verification::address_verification;
pub use invitation::{Invitation, invitation};
pub use new_address::new_address;
pub use new_device::{SignIn, new_device};
pub use password_changed::password_changed;
pub use password_reset::password_reset;
pub use repeated_registration::repeated_registration;
pub use second_factor_disabled::second_factor_disabled;
pub use second_factor_enabled::second_factor_enabled;

#[cfg(test)]
mod tests;
