//! Who is invited to organizations.

use chrono::{DateTime, Utc};
use domain::ids::{InvitationId, OrganizationId};
use sqlx::PgConnection;

use super::SecretError;

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
    // There already is one if the command is a repeated one, and is rolled back.
    sqlx::query!(
        "
                    INSERT INTO identity.invitations
                        (invitation_id, organization_id, address, expires_at)
                    VALUES ($1, $2, $3, $4)
                    ON CONFLICT (invitation_id) DO NOTHING
                    ",
        invitation.get(),
        organization.get(),
        &address[..],
        expires_at,
    )
    .execute(connection)
    .await?;
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
