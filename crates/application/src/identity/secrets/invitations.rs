//! Who is invited to organizations.

use chrono::{DateTime, Utc};
use domain::ids::{InvitationId, OrganizationId};
use sqlx::PgConnection;

use super::SecretError;

/// Most invitations of one address in a day, by whomever.
const MOST_OF_ADDRESS: i64 = 10;

/// Most invitations to one organization in a day.
const MOST_OF_ORGANIZATION: i64 = 200;

pub(super) async fn invite(
    connection: &mut PgConnection,
    (invitation, organization): (InvitationId, OrganizationId),
    address: &[u8; 32],
    expires_at: DateTime<Utc>,
) -> Result<(), SecretError> {
    sqlx::query!(
        "
                    UPDATE identity.invitations SET is_over = true
                    WHERE organization_id = $1 AND address = $2 AND NOT is_over
                    ",
        organization.get(),
        &address[..],
    )
    .execute(&mut *connection)
    .await?;
    // Those of the last day, over or not: nobody's mailbox is filled by inviting again and again.
    let invited = sqlx::query!(
        "
        INSERT INTO identity.invitations (invitation_id, organization_id, address, expires_at)
        SELECT $1, $2, $3, $4
        WHERE (
                SELECT count(*) FROM identity.invitations
                WHERE address = $3 AND expires_at > $4::timestamptz - interval '1 day'
            ) < $5
            AND (
                SELECT count(*) FROM identity.invitations
                WHERE organization_id = $2 AND expires_at > $4::timestamptz - interval '1 day'
            ) < $6
        ON CONFLICT (invitation_id) DO NOTHING
        ",
        invitation.get(),
        organization.get(),
        &address[..],
        expires_at,
        MOST_OF_ADDRESS,
        MOST_OF_ORGANIZATION,
    );
    if invited.execute(connection).await?.rows_affected() == 0 {
        return Err(SecretError::TooManyInvitations);
    }
    Ok(())
}

pub(super) async fn end(
    connection: &mut PgConnection,
    invitation: InvitationId,
) -> Result<(), SecretError> {
    sqlx::query!(
        "UPDATE identity.invitations SET is_over = true WHERE invitation_id = $1",
        invitation.get(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn end_all(
    connection: &mut PgConnection,
    organization: OrganizationId,
) -> Result<(), SecretError> {
    sqlx::query!(
        "
                    UPDATE identity.invitations SET is_over = true
                    WHERE organization_id = $1 AND NOT is_over
                    ",
        organization.get(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
