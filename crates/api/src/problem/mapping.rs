//! Which problem each error of the inner crates is, in one place.

use application::audit::AuditError;
use application::identity::IdentityError;
use application::ports::external_login::ProviderError;
use application::{CommandError, MessageTooLarge, Refusal};
use domain::{Rejection, catalog, identity, inventory, ordering, organizations};
use eventstore::aggregate::LoadError;
use eventstore::{AppendError, KeyringError};
use projections::freshness::{FreshnessError, NotYet, Reason};
use projections::time_travel::TimeTravelError;

use super::{Code, Problem};

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Rejected(Refusal::Rejected(rejection)) => rejection.into(),
            CommandError::Rejected(Refusal::Changed { .. }) => {
                Self::new(Code::PreconditionFailed, "Nothing was changed.")
            }
            CommandError::Rejected(Refusal::WithoutKeys(_)) => internal().because(error),
            CommandError::Contended { .. } => Self::new(Code::Contended, "Nothing was changed."),
            CommandError::Append(error) => error.into(),
            CommandError::Load(LoadError::Database { source, .. }) => source.into(),
            CommandError::Load(LoadError::Sealed {
                source: KeyringError::Database { .. }, ..
            })
            | CommandError::Seal(KeyringError::Database { .. }) => {
                Self::new(Code::DatabaseUnavailable, "Nothing was changed.").because(error)
            }
            CommandError::Seal(KeyringError::Erased { .. }) => {
                Self::new(Code::Rejected, "The personal data of this subject is erased.")
            }
            CommandError::Encode(ref source) if source.is::<MessageTooLarge>() => {
                Self::new(Code::MessageTooLarge, format!("{source}. Nothing was changed."))
            }
            CommandError::Load(_) | CommandError::Encode(_) | CommandError::Seal(_) => {
                internal().because(error)
            }
        }
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::Catalog(catalog::Rejection::AlreadyListed(_))
            | Rejection::Inventory(inventory::Rejection::AlreadyReserved(_))
            | Rejection::Ordering(
                ordering::Rejection::AlreadyPlaced(_)
                | ordering::Rejection::NotPlaced(_)
                | ordering::Rejection::AlreadySettled(_),
            ) => Self::new(Code::Rejected, detail),
            Rejection::Identity(rejection) => rejection.into(),
            Rejection::Organizations(rejection) => rejection.into(),
            Rejection::Catalog(catalog::Rejection::NotListed(_)) => {
                Self::new(Code::NotFound, "No product has this id.")
            }
            Rejection::Ordering(ordering::Rejection::UnknownProduct { line, .. }) => {
                Self::new(Code::UnknownProduct, "Nothing was ordered.")
                    .field(format!("/lines/{line}/product_id"), detail)
            }
            Rejection::Ordering(ordering::Rejection::MixedCurrencies { line, .. }) => {
                Self::new(Code::MixedCurrencies, "Nothing was ordered.")
                    .field(format!("/lines/{line}/product_id"), detail)
            }
            Rejection::Ordering(ordering::Rejection::TotalTooLarge) => {
                Self::new(Code::TotalTooLarge, "Nothing was ordered.").field("/lines", detail)
            }
        }
    }
}

impl From<identity::Rejection> for Problem {
    fn from(rejection: identity::Rejection) -> Self {
        use identity::Rejection as Is;
        let detail = rejection.to_string();
        match rejection {
            Is::NotRegistered(_)
            | Is::NoSession(_)
            | Is::NoRole(_)
            | Is::NoApiKey(_)
            | Is::NotLinked(_) => Self::new(Code::NotFound, format!("{detail}.")),
            Is::LastWayIn(_) => Self::new(Code::LastWayIn, "Nothing was changed."),
            Is::VerifiedMeanwhile(_) => Self::new(Code::Contended, "Nothing was changed."),
            Is::AlreadyRegistered(_)
            | Is::TooManyLinked(_)
            | Is::AlreadyStarted(_)
            | Is::NotActive(_)
            | Is::Deactivated(_)
            | Is::NotVerified(_)
            | Is::OtherAddress(_)
            | Is::SecondFactorRequired(_)
            | Is::HasSecondFactor(_)
            | Is::NoSecondFactor(_)
            | Is::RoleChanged(_)
            | Is::ApiKeyExists(_)
            | Is::ApiKeyOver(_)
            | Is::ApiKeyRotated(_) => Self::new(Code::Rejected, format!("{detail}.")),
        }
    }
}

impl From<organizations::Rejection> for Problem {
    fn from(rejection: organizations::Rejection) -> Self {
        use organizations::Rejection as Is;
        let detail = format!("{rejection}.");
        match rejection {
            Is::NoOrganization(_) | Is::NoMember(_) | Is::NoInvitation(_) => {
                Self::new(Code::NotFound, detail)
            }
            Is::AlreadyCreated(_)
            | Is::AlreadyMember(_)
            | Is::IsOwner(_)
            | Is::TooManyMembers
            | Is::TooManyInvitations => Self::new(Code::Rejected, detail),
        }
    }
}

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::NotLetIn => Self::new(Code::LoginFailed, "Nobody was let in."),
            IdentityError::NotVerified => Self::new(Code::EmailNotVerified, "Nobody was let in."),
            IdentityError::SecondFactorRequired => {
                Self::new(Code::SecondFactorRequired, "Nobody was let in.")
            }
            IdentityError::CodeRefused => Self::new(Code::CodeRefused, "Nothing was changed."),
            IdentityError::InvalidToken => Self::new(Code::TokenRefused, "Nothing was changed."),
            IdentityError::WeakPassword(faults) => faults
                .into_iter()
                .fold(Self::new(Code::WeakPassword, "Nothing was changed."), |problem, fault| {
                    problem.field("/password", fault.to_string())
                }),
            IdentityError::AddressTaken => Self::new(Code::EmailTaken, "Nothing was changed."),
            IdentityError::TooManyApiKeys | IdentityError::TooManyInvitations => {
                Self::new(Code::Rejected, format!("{error}. Nothing was changed."))
            }
            IdentityError::NotBegun => {
                Self::new(Code::ExternalLoginRefused, "Nothing was changed.")
            }
            IdentityError::Provider(error) => error.into(),
            IdentityError::RedirectNotAllowed => Self::new(Code::InvalidBody, "Nothing was begun.")
                .field("/redirect_uri", "is none of those that are allowed"),
            IdentityError::AddressNotVouched => {
                Self::new(Code::AddressNotVouched, "Nobody was let in.")
            }
            IdentityError::IdentityTaken => Self::new(Code::IdentityTaken, "Nothing was changed."),
            IdentityError::Busy => Self::new(Code::Busy, "Nothing was changed."),
            IdentityError::Command(error) => error.into(),
            IdentityError::Load(error) => CommandError::Load(error).into(),
            IdentityError::Database(error) => error.into(),
            IdentityError::Keyring(error) => CommandError::Seal(error).into(),
            IdentityError::Randomness(_)
            | IdentityError::Passwords(_)
            | IdentityError::Sign(_)
            | IdentityError::Label(_)
            | IdentityError::NoSigningKey => internal().because(error),
        }
    }
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Unknown => Self::new(Code::NotFound, "No provider has this name."),
            ProviderError::Refused { .. } => {
                Self::new(Code::ExternalLoginRefused, "The provider does not take the code.")
            }
            ProviderError::Unavailable { .. } => {
                let detail = "Nothing was changed. A login that was begun can still be completed.";
                Self::new(Code::ProviderUnavailable, detail).because(error)
            }
            ProviderError::Untrusted { .. } => {
                Self::new(Code::ProviderUntrusted, "Nobody was let in.").because(error)
            }
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { .. } | AppendError::ConditionFailed { .. } => {
                Self::new(Code::Contended, "Nothing was changed.")
            }
            AppendError::ClaimTaken { ref namespace, .. } if namespace == "catalog.sku" => {
                Self::new(Code::SkuTaken, "No product was listed.").field("/sku", "is in use")
            }
            AppendError::ClaimTaken { .. } | AppendError::SubjectErased { .. } => {
                Self::new(Code::Rejected, error.to_string())
            }
            AppendError::OtherBody { .. } => Self::new(
                Code::IdempotencyKeyReused,
                "The first request with this key asked for something else. Nothing was changed.",
            ),
            AppendError::PayloadTooLarge { .. }
            | AppendError::TooManyEvents { .. }
            | AppendError::TooManyMessages { .. }
            | AppendError::MessagesTooLarge { .. } => {
                Self::new(Code::BodyTooLarge, error.to_string())
            }
            AppendError::Unavailable { .. } | AppendError::Closed => {
                Self::new(Code::DatabaseUnavailable, "Nothing was changed.").because(error)
            }
            AppendError::Unconfirmed { .. } => {
                Self::new(Code::Unconfirmed, "The change may have been made.").because(error)
            }
            AppendError::Refused { ref source } if is_unavailable(source) => {
                Self::new(Code::DatabaseUnavailable, "Nothing was changed.").because(error)
            }
            AppendError::RepeatedStream { .. }
            | AppendError::RepeatedClaim { .. }
            | AppendError::WithoutExpectation { .. }
            | AppendError::MessagesWithoutEvent
            | AppendError::Refused { .. } => internal().because(error),
        }
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::NoStream(_) => Self::new(Code::NotFound, "No stream has this name."),
            AuditError::NoAggregate(ref source) => {
                let detail = source.to_string();
                Self::new(Code::InvalidParameter, error.to_string()).field("stream", detail)
            }
            AuditError::PositionNotReached { .. } | AuditError::VersionNotReached { .. } => {
                Self::new(Code::NotReached, error.to_string())
            }
            AuditError::Reversed { .. } => {
                Self::new(Code::InvalidParameter, "The query cannot be answered.")
                    .field("from", error.to_string())
            }
            AuditError::Undecodable(error) => internal().because(error),
            AuditError::Encode(error) => internal().because(error),
            AuditError::Database(error) => error.into(),
        }
    }
}

impl From<FreshnessError> for Problem {
    fn from(error: FreshnessError) -> Self {
        let NotYet { name, asked, position, head, reason } = match error {
            FreshnessError::NotYet(not_yet) => not_yet,
            FreshnessError::Database(error) => return error.into(),
        };
        if matches!(reason, Reason::BeyondTheLog) {
            let detail = format!("The log ends at position {head}: nobody was told {asked}.");
            return Self::new(Code::NotReached, detail);
        }
        let place = match position {
            Some(at) if at < asked => {
                format!("is at position {at}, {} before {asked}", asked.get() - at.get())
            }
            Some(at) => format!("is at position {at}"),
            None => "is not there yet".to_owned(),
        };
        let why = match reason {
            Reason::BeyondTheLog => "the log itself has not come that far".to_owned(),
            Reason::InTheMaking => "it is made from the log for the first time".to_owned(),
            Reason::Paused => "an operator has paused it".to_owned(),
            Reason::Parked => {
                "but an event of what is asked for could not take effect, and waits for an operator"
                    .to_owned()
            }
            Reason::Abandoned => "not all of it is kept by a process at the moment".to_owned(),
            Reason::Behind => "it needs longer to catch up".to_owned(),
        };
        Self::new(Code::NotYet, format!("The read model `{name}` {place}: {why}."))
    }
}

impl From<TimeTravelError> for Problem {
    fn from(error: TimeTravelError) -> Self {
        match error {
            TimeTravelError::NotReached { .. } => Self::new(Code::NotReached, error.to_string()),
            TimeTravelError::Database(error) => error.into(),
            TimeTravelError::NoKey(_)
            | TimeTravelError::Undecodable { .. }
            | TimeTravelError::Unexpected(_)
            | TimeTravelError::Encode(_) => internal().because(error),
        }
    }
}

impl From<serde_json::Error> for Problem {
    /// Of what is to be answered, never of what was sent.
    fn from(error: serde_json::Error) -> Self {
        internal().because(error)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) {
            Self::new(Code::DatabaseUnavailable, "Nothing was changed.").because(error)
        } else if is_cancelled(&error) {
            Self::new(Code::DeadlineExceeded, "Nothing was changed.")
        } else if is_in_the_making(&error) {
            Self::new(Code::InTheMaking, "There is nothing to query yet.").because(error)
        } else {
            internal().because(error)
        }
    }
}

/// Whether the same may work in a moment, although nothing is wrong with this service.
fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        // 57P: the server shuts down or starts up; 53: it lacks connections, memory or disk space;
        // 08: the line broke; 25006: it takes no writes, as a replica does.
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            ["57P", "53", "08", "25006"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// Whether the server ended the statement because its time was over.
fn is_cancelled(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "57014")
}

/// Whether a table is not there: all but those of read models are looked for at the start.
fn is_in_the_making(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // Undefined table, or its schema.
    code.is_some_and(|code| code == "42P01" || code == "3F000")
}

fn internal() -> Problem {
    Problem::new(Code::Internal, "The request could not be handled.")
}
