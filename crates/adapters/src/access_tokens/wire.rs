//! Claims as they are written.

use application::ports::access_tokens::{AccessTokenError, Claims};
use chrono::{DateTime, Utc};
use eventstore::Position;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The claims of RFC 9068 that are told, and four of our own. Others are not looked at: a later version
/// may tell them.
#[derive(Serialize, Deserialize)]
pub(super) struct WireClaims {
    pub(super) iss: String,
    /// One text: a list of audiences is no token of ours.
    pub(super) aud: String,
    sub: Uuid,
    sid: Uuid,
    iat: i64,
    exp: i64,
    jti: Uuid,
    pos: Position,
    roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    org: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

impl WireClaims {
    pub(super) fn of(claims: &Claims, issuer: &str, audience: &str) -> Self {
        Self {
            iss: issuer.to_owned(),
            aud: audience.to_owned(),
            sub: claims.user,
            sid: claims.session,
            iat: claims.issued_at.timestamp(),
            exp: claims.expires_at.timestamp(),
            jti: claims.id,
            pos: claims.position,
            roles: claims.roles.clone(),
            org: claims.organization,
            nbf: None,
        }
    }

    pub(super) fn issued_at(&self) -> Result<DateTime<Utc>, AccessTokenError> {
        moment(self.iat)
    }

    pub(super) fn expires_at(&self) -> Result<DateTime<Utc>, AccessTokenError> {
        moment(self.exp)
    }

    pub(super) fn not_before(&self) -> Result<Option<DateTime<Utc>>, AccessTokenError> {
        self.nbf.map(moment).transpose()
    }

    pub(super) fn into_claims(self) -> Result<Claims, AccessTokenError> {
        let (issued_at, expires_at) = (self.issued_at()?, self.expires_at()?);
        Ok(Claims {
            user: self.sub,
            session: self.sid,
            id: self.jti,
            issued_at,
            expires_at,
            position: self.pos,
            roles: self.roles,
            organization: self.org,
        })
    }
}

/// Within years of four digits, so that some seconds may be added to it.
fn moment(seconds: i64) -> Result<DateTime<Utc>, AccessTokenError> {
    const LAST: i64 = 253_402_300_799;
    let seconds = (0..=LAST).contains(&seconds).then_some(seconds);
    seconds
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .ok_or(AccessTokenError::Malformed)
}
