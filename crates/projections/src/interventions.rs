//! What people do to read models, recorded for ever.

use eventstore::Position;
use sqlx::PgConnection;

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Rebuild,
    Pause,
    Resume,
    Cancel,
    Switch,
    SwitchBack,
    Discard,
    Retry,
    Skip,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Rebuild => "rebuild",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Switch => "switch",
            Self::SwitchBack => "switch-back",
            Self::Discard => "discard",
            Self::Retry => "retry",
            Self::Skip => "skip",
        }
    }
}

/// A parked key that somebody did something about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) key: &'a str,
    pub(crate) position: Option<Position>,
    pub(crate) error: &'a str,
    pub(crate) reason: Option<&'a str>,
}

/// Records what was done to `model`, in the caller's transaction.
pub(crate) async fn record(
    connection: &mut PgConnection,
    by: &str,
    action: Action,
    model: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO projections.interventions (actor, action, model) VALUES ($1, $2, $3)",
        by,
        action.as_str(),
        model,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records what was done about a parked key of `model`, in the caller's transaction.
pub(crate) async fn record_about(
    connection: &mut PgConnection,
    by: &str,
    action: Action,
    model: &str,
    subject: Subject<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        INSERT INTO projections.interventions (actor, action, model, key, position, error, reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        "#,
        by,
        action.as_str(),
        model,
        subject.key,
        subject.position.map(Position::get),
        subject.error,
        subject.reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}
