//! Who asks, by an access token.

use domain::identity::RoleName;
use domain::ids::{SessionId, UserId};

use super::{Identity, IdentityError};
use crate::access::{Access, AccessError, Bearer, Credential};
use crate::ports::access_tokens::{AccessTokenError, Claims};

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// What the user is granted.
    pub roles: Vec<RoleName>,
}

/// Why nobody is known to ask.
#[derive(Debug, thiserror::Error)]
pub enum NotAuthenticated {
    /// The token is none, or over.
    #[error(transparent)]
    Token(#[from] AccessTokenError),
    /// The API key is none, or may not be used any more.
    #[error("the API key is not valid")]
    ApiKey,
    /// Something has happened since it was issued.
    #[error("the token is stale")]
    Stale,
    /// It is not known whether something has.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The keys could not be read.
    #[error(transparent)]
    Keys(#[from] IdentityError),
}

impl Identity {
    /// Who has `token`. Asks no table, as long as the log is heard of.
    ///
    /// # Errors
    /// See [`NotAuthenticated`].
    pub async fn authenticate(
        &self,
        token: &str,
        access: &Access,
    ) -> Result<Authenticated, NotAuthenticated> {
        let claims = match self.verify(token) {
            Err(AccessTokenError::UnknownKey) => {
                // Another process may have made it a moment ago.
                self.keys.reload_if_stale().await?;
                self.verify(token)?
            }
            verified => verified?,
        };
        let (user, session) = (UserId::new(claims.user), SessionId::new(claims.session));
        let by = Credential::Session(session);
        let bearer = Bearer { user, by, position: claims.position };
        if !access.holds(&bearer).await? {
            return Err(NotAuthenticated::Stale);
        }
        let roles = claims.roles.into_iter().filter_map(|role| role.try_into().ok()).collect();
        Ok(Authenticated { user, session, roles })
    }

    fn verify(&self, token: &str) -> Result<Claims, AccessTokenError> {
        self.tokens.verify(token, &self.keys.current(), self.bus.clock.now())
    }
}
