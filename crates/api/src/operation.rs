//! What a route does, said once: for the router, for authorization and for those who read the
//! description of the API.

mod parameter;

use std::collections::BTreeSet;

use axum::http::StatusCode;
use domain::identity::Reach;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

pub(crate) use parameter::Parameter;

use crate::layers::Key;
use crate::principal::Permission;
use crate::problem::Code;

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A query or a command, as it is declared beside its handler. It cannot be made without its
/// permission, and no route without it (law 10).
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// Its name in clients that are generated from the description.
    pub(crate) id: &'static str,
    /// In one line.
    pub(crate) summary: &'static str,
    pub(crate) permission: Permission,
    /// How far the permission must go at least.
    pub(crate) reach: Reach,
    pub(crate) parameters: Vec<Parameter>,
    /// What is sent, with an example.
    pub(crate) body: Option<(SchemaOf, Value)>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) problems: BTreeSet<Code>,
    /// Whether a command, and whether it must be given a name.
    pub(crate) key: Option<Key>,
    /// Whether what is done is done for the organization that is acted in.
    pub(crate) is_by_tenant: bool,
    /// Whether the description of the API tells of it.
    pub(crate) is_described: bool,
}

/// What is answered when it works.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) description: &'static str,
    pub(crate) headers: Vec<Header>,
    pub(crate) content: Option<Content>,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    pub(crate) schema: SchemaOf,
    pub(crate) example: Value,
}

/// A header of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
}

pub(crate) const ETAG: Header =
    Header { name: "ETag", description: "Which state it is; for `If-None-Match` and `If-Match`." };
const LOCATION: Header = Header { name: "Location", description: "Where it will be." };
const POSITION: Header = Header {
    name: "Annals-Position",
    description: "How far the log had come when the command had taken effect; for \
                  `Annals-Min-Position`.",
};
const REPLAYED: Header = Header {
    name: "Idempotency-Replayed",
    description: "`true` if the command had taken effect before, so that this time nothing was \
                  written.",
};

impl Operation {
    /// A question, which changes nothing.
    pub(crate) fn query(id: &'static str, summary: &'static str, permission: Permission) -> Self {
        let problems = [Code::InvalidParameter, Code::DatabaseUnavailable];
        Self::new(id, summary, permission).refused_as(&problems)
    }

    /// A change; `key` says whether the client must name it.
    pub(crate) fn command(
        id: &'static str,
        summary: &'static str,
        permission: Permission,
        key: Key,
    ) -> Self {
        let command = Self { key: Some(key), ..Self::new(id, summary, permission) };
        let command = command.takes(parameter::idempotency_key(key)).refused_as(&[
            Code::InvalidHeader,
            Code::IdempotencyKeyReused,
            Code::IdempotencyKeyInUse,
            Code::Contended,
            Code::Unconfirmed,
            Code::DatabaseUnavailable,
        ]);
        match key {
            Key::Required => command.refused_as(&[Code::IdempotencyKeyMissing]),
            Key::Optional => command,
        }
    }

    /// A change that cannot be named: what it answers is told once and kept nowhere.
    pub(crate) fn exchange(
        id: &'static str,
        summary: &'static str,
        permission: Permission,
    ) -> Self {
        let problems = [Code::Contended, Code::Unconfirmed, Code::DatabaseUnavailable];
        Self::new(id, summary, permission).refused_as(&problems)
    }

    fn new(id: &'static str, summary: &'static str, permission: Permission) -> Self {
        // What layers refuse, whatever is asked.
        let problems = [
            Code::Misdirected,
            Code::NotLoggedIn,
            Code::InvalidToken,
            Code::Forbidden,
            Code::TooManyRequests,
            Code::DeadlineExceeded,
            Code::Internal,
        ];
        let takes_a_session = permission == Permission::OwnAccount;
        let session = takes_a_session.then_some(Code::SessionRequired);
        Self {
            id,
            summary,
            permission,
            reach: if takes_a_session { Reach::Own } else { Reach::All },
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: problems.into_iter().chain(session).collect(),
            key: None,
            is_by_tenant: false,
            is_described: true,
        }
    }

    /// What is for people and their browsers, and which no program asks for.
    pub(crate) fn page(id: &'static str, summary: &'static str) -> Self {
        let page = Self::new(id, summary, Permission::ReadDescription);
        Self { is_described: false, ..page }
    }

    /// Also answers whose permission does not go further than what is their own: of that, and of no
    /// more. The handler sees to it.
    pub(crate) fn for_owners(self) -> Self {
        Self { reach: Reach::Own, ..self }
    }

    /// Answers whose permission goes as far as the organization that the address names.
    pub(crate) fn for_organizations(self) -> Self {
        Self { reach: Reach::Organization, is_by_tenant: true, ..self }
    }

    /// Is answered for the organization that `Annals-Organization` names, if it names one.
    pub(crate) fn by_tenant(self) -> Self {
        let by_tenant = Self { is_by_tenant: true, ..self };
        by_tenant.takes(parameter::organization()).refused_as(&[Code::InvalidHeader])
    }

    /// Takes `parameter`.
    pub(crate) fn takes(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Is asked page by page.
    pub(crate) fn paged(self) -> Self {
        self.takes(parameter::limit()).takes(parameter::cursor())
    }

    /// Answers from a read model, as fresh as `Annals-Min-Position` says.
    pub(crate) fn fresh(self) -> Self {
        self.takes(parameter::min_position()).refused_as(&[
            Code::InvalidHeader,
            Code::NotReached,
            Code::NotYet,
            Code::InTheMaking,
        ])
    }

    /// Also answers what was at an earlier moment, of one document.
    pub(crate) fn at_moments(self) -> Self {
        self.takes(parameter::as_of()).refused_as(&[Code::NotReached])
    }

    /// Answers 304 to who has it.
    pub(crate) fn conditional(self) -> Self {
        self.takes(parameter::if_none_match()).answers_with(Answer {
            status: StatusCode::NOT_MODIFIED,
            description: "The client has this state of it.",
            headers: vec![ETAG],
            content: None,
        })
    }

    /// Is bound to a state that the client has seen.
    pub(crate) fn bound(self) -> Self {
        self.takes(parameter::if_match()).refused_as(&[
            Code::InvalidHeader,
            Code::PreconditionFailed,
            Code::PreconditionRequired,
        ])
    }

    /// Takes a body.
    pub(crate) fn with_body<T: JsonSchema>(self, example: Value) -> Self {
        let body = Some((schema_of::<T> as SchemaOf, example));
        Self { body, ..self }.refused_as(&[
            Code::MalformedJson,
            Code::InvalidBody,
            Code::UnsupportedMediaType,
            Code::BodyTooLarge,
        ])
    }

    /// Answers 200 with a `T`.
    pub(crate) fn shows<T: JsonSchema>(self, description: &'static str, example: Value) -> Self {
        let headers = if self.parameters.iter().any(|known| known.name == "If-None-Match") {
            vec![ETAG]
        } else {
            Vec::new()
        };
        let schema = schema_of::<T> as SchemaOf;
        let content = Some(Content { media_type: "application/json", schema, example });
        self.answers_with(Answer { status: StatusCode::OK, description, headers, content })
    }

    /// Answers 201 with the id of what was made.
    pub(crate) fn creates<T: JsonSchema>(self, description: &'static str, example: Value) -> Self {
        let schema = schema_of::<T> as SchemaOf;
        self.answers_with(Answer {
            status: StatusCode::CREATED,
            description,
            headers: vec![LOCATION, ETAG, POSITION, REPLAYED],
            content: Some(Content { media_type: "application/json", schema, example }),
        })
    }

    /// Answers 200 with a `T` once it has changed.
    pub(crate) fn tells<T: JsonSchema>(self, description: &'static str, example: Value) -> Self {
        let schema = schema_of::<T> as SchemaOf;
        self.answers_with(Answer {
            status: StatusCode::OK,
            description,
            headers: vec![ETAG, POSITION, REPLAYED],
            content: Some(Content { media_type: "application/json", schema, example }),
        })
    }

    /// Answers 204 once it has changed.
    pub(crate) fn changes(self, description: &'static str) -> Self {
        self.answers_with(Answer {
            status: StatusCode::NO_CONTENT,
            description,
            headers: vec![ETAG, POSITION, REPLAYED],
            content: None,
        })
    }

    /// Answers 202: what is to be done is done, or follows, and nothing more is told.
    pub(crate) fn accepts(self, description: &'static str) -> Self {
        let (status, headers) = (StatusCode::ACCEPTED, Vec::new());
        self.answers_with(Answer { status, description, headers, content: None })
    }

    /// Answers like this when it works.
    pub(crate) fn answers_with(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// Can be refused as these.
    pub(crate) fn refused_as(mut self, codes: &[Code]) -> Self {
        self.problems.extend(codes);
        self
    }
}

pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
