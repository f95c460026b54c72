//! What is mailed, and when: a consumer of messages of identity and organizations.
//!
//! A message says to whom something happened, by id; address and token are looked up and made here, in
//! the transaction of the inbox, which commits after the mail was taken. After a crash in between a
//! mail is sent again, with another token; both have the same `Message-ID`.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use adapters::SystemClock;
use application::identity::{Identity, IdentityError, Mailed, NewDevice, Purpose};
use application::mail_texts::{self, ClientUrl, Invitation, Letter, SignIn, Ticket};
use application::organizations::{Invited, Organizations};
use application::ports::{Clock as _, MailError, MailTrouble, Mailer, Recipient};
use chrono::TimeDelta;
use domain::identity::messages::{IdentityMessage, SessionStarted};
use domain::ids::UserId;
use domain::organizations::messages::{MemberInvited, OrganizationMessage};
use domain::{Message, PayloadType};
use relay::{ConsumerConfig, Handler, HandlerError, IncomingMessage, Namespace};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgConnection;

/// What something is mailed for.
const READS: [PayloadType; 10] = [
    PayloadType { name: "identity.user-registered", version: 1 },
    PayloadType { name: "identity.registration-repeated", version: 1 },
    PayloadType { name: "identity.verification-requested", version: 1 },
    PayloadType { name: "identity.password-reset-requested", version: 1 },
    PayloadType { name: "identity.password-changed", version: 1 },
    PayloadType { name: "identity.email-changed", version: 1 },
    PayloadType { name: "identity.session-started", version: 1 },
    PayloadType { name: "identity.second-factor-enabled", version: 1 },
    PayloadType { name: "identity.second-factor-disabled", version: 1 },
    PayloadType { name: "organizations.member-invited", version: 1 },
];

/// How many mails are sent side by side, each to a user of its own.
const LANES: NonZeroU16 = NonZeroU16::MIN.saturating_add(3);

/// After which nobody waits for a mail any more: a stream that is read anew mails nothing twice.
const TOO_LATE: TimeDelta = TimeDelta::days(2);

/// Longer than a mail may take.
const LIMIT: Duration = Duration::from_mins(2);

/// How the consumer of mail reads the stream of `namespace`.
pub fn consumer(namespace: &Namespace) -> ConsumerConfig {
    let subjects = READS.iter().map(ToString::to_string);
    ConsumerConfig {
        batch: NonZeroU16::MIN,
        parallel: LANES,
        handler_limit: LIMIT,
        ..ConsumerConfig::new("mail", namespace.clone(), subjects)
    }
}

/// Mails what messages of identity ask for.
pub struct MailHandler {
    /// Looks up whom it is for.
    pub identity: Identity,
    /// Sends it.
    pub mailer: Arc<dyn Mailer>,
    /// Where links lead.
    pub client: ClientUrl,
}

impl Handler for MailHandler {
    async fn handle(
        &self,
        transaction: &mut PgConnection,
        messages: &[&IncomingMessage],
    ) -> Result<(), HandlerError> {
        for incoming in messages {
            let of = &incoming.message_type;
            let message = Message::decode(&of.name, of.version, &incoming.data);
            let message = message.map_err(HandlerError::refused)?;
            if incoming.time + TOO_LATE < SystemClock.now() {
                tracing::info!(message.id = %incoming.id, "what was to be mailed long ago is not");
                continue;
            }
            let letter = match &message {
                Message::Identity(message) => self.write(transaction, message, incoming).await,
                Message::Organizations(OrganizationMessage::MemberInvited(invited)) => {
                    self.invite(invited).await
                }
                _ => continue,
            };
            let letter = letter.map_err(failed)?;
            let Some((to, letter)) = letter else { continue };
            match self.mailer.send(letter.to(to, incoming.id)).await {
                Ok(()) => {}
                Err(error @ MailError::Permanent { .. }) => {
                    // The address takes nothing: that is no fault of the message.
                    tracing::warn!(message.id = %incoming.id, error = %error, "a mail is refused");
                }
                Err(error @ MailError::Temporary { trouble: MailTrouble::NotTaken, .. }) => {
                    // This one is not taken now; others may be.
                    return Err(HandlerError::failed(error));
                }
                Err(error @ MailError::Temporary { .. }) => {
                    return Err(HandlerError::Unavailable(error.into()));
                }
            }
        }
        Ok(())
    }
}

impl MailHandler {
    /// What is mailed because of `message`, and to whom; nothing if there is nothing to say any more.
    async fn write(
        &self,
        transaction: &mut PgConnection,
        message: &IdentityMessage,
        incoming: &IncomingMessage,
    ) -> Result<Option<(Recipient, Letter)>, IdentityError> {
        let at = incoming.time;
        match message {
            IdentityMessage::UserRegistered(registered) if registered.is_verified => Ok(None),
            IdentityMessage::UserRegistered(registered) => {
                self.verify(transaction, registered.user_id).await
            }
            IdentityMessage::VerificationRequested(asked) => {
                self.verify(transaction, asked.user_id).await
            }
            IdentityMessage::PasswordResetRequested(asked) => {
                let purpose = Purpose::ResetPassword;
                let mailed =
                    self.identity.to_be_mailed(transaction, asked.user_id, purpose).await?;
                Ok(mailed.map(|Mailed { to, token, valid, .. }| {
                    (to, mail_texts::password_reset(&self.client, ticket(&token, valid)))
                }))
            }
            IdentityMessage::RegistrationRepeated(repeated) => {
                let to = self.identity.recipient(repeated.user_id).await?;
                Ok(to.map(|to| (to, mail_texts::repeated_registration(&self.client))))
            }
            IdentityMessage::PasswordChanged(changed) => {
                let to = self.identity.recipient(changed.user_id).await?;
                Ok(to.map(|to| (to, mail_texts::password_changed(&self.client, at))))
            }
            IdentityMessage::EmailChanged(_) => {
                let to = self.identity.previous_recipient(incoming.id).await?;
                Ok(to.map(|to| (to, mail_texts::address_changed(&self.client, at))))
            }
            IdentityMessage::SessionStarted(started) => {
                let SessionStarted { user_id, session_id } = *started;
                let device = self.identity.new_device(user_id, session_id).await?;
                Ok(device.map(|NewDevice { to, agent, address, at }| {
                    let sign_in = SignIn { at, device: agent.as_deref(), address };
                    (to, mail_texts::new_device(&self.client, sign_in))
                }))
            }
            IdentityMessage::SecondFactorEnabled(enabled) => {
                let to = self.identity.recipient(enabled.user_id).await?;
                Ok(to.map(|to| (to, mail_texts::second_factor_enabled(&self.client, at))))
            }
            IdentityMessage::SecondFactorDisabled(disabled) => {
                let to = self.identity.recipient(disabled.user_id).await?;
                let by = disabled.by;
                Ok(to.map(|to| (to, mail_texts::second_factor_disabled(&self.client, at, by))))
            }
            _ => Ok(None),
        }
    }

    async fn invite(
        &self,
        invited: &MemberInvited,
    ) -> Result<Option<(Recipient, Letter)>, IdentityError> {
        let organizations = Organizations::new(self.identity.clone());
        let MemberInvited { organization_id, invitation_id, .. } = *invited;
        let invited = organizations.to_be_mailed(organization_id, invitation_id).await?;
        Ok(invited.map(|Invited { to, organization, invited_by, valid }| {
            let invitation = Invitation {
                organization: &organization,
                invited_by: invited_by.as_deref(),
                valid: valid.to_std().unwrap_or_default(),
            };
            let letter = mail_texts::invitation(&self.client, invitation);
            (to, letter)
        }))
    }

    async fn verify(
        &self,
        transaction: &mut PgConnection,
        user: UserId,
    ) -> Result<Option<(Recipient, Letter)>, IdentityError> {
        let purpose = Purpose::VerifyEmail;
        let mailed = self.identity.to_be_mailed(transaction, user, purpose).await?;
        Ok(mailed.map(|Mailed { to, token, valid, is_wanted }| {
            let ticket = ticket(&token, valid);
            let letter = if is_wanted {
                mail_texts::new_address(&self.client, ticket)
            } else {
                mail_texts::address_verification(&self.client, ticket)
            };
            (to, letter)
        }))
    }
}

fn ticket(token: &SecretString, valid: TimeDelta) -> Ticket<'_> {
    Ticket { token: token.expose_secret(), valid: valid.to_std().unwrap_or_default() }
}

fn failed(error: IdentityError) -> HandlerError {
    match error {
        error @ IdentityError::Database(_) => HandlerError::Unavailable(error.into()),
        error => HandlerError::failed(error),
    }
}
