//! A value that says something of a person.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::ids::UserId;

/// A value that says something of a user; nothing once it is erased, or for who may not see it.
///
/// As JSON it is `{"subject": "user:…", "value": …}`, or without the value. It is never stored so: what
/// keeps events seals the value under a key of the subject. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal<T> {
    subject: UserId,
    value: Option<T>,
}

impl<T> Personal<T> {
    /// What the names of subjects begin with; their id follows.
    pub const SUBJECTS: &'static str = "user:";

    /// `value`, which says something of `subject`.
    #[must_use]
    pub const fn new(subject: UserId, value: T) -> Self {
        Self { subject, value: Some(value) }
    }

    /// The same without its value, to be kept where that must not be.
    #[must_use]
    pub fn closed(self) -> Self {
        Self { value: None, ..self }
    }

    /// Of whom it says something.
    #[must_use]
    pub const fn subject(&self) -> UserId {
        self.subject
    }

    /// The value; nothing if it is erased or closed.
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.value.is_some() { "***" } else { "nothing" };
        write!(f, "Personal(user:{}, {shown})", self.subject)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<T> {
    subject: String,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    value: Option<T>,
}

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let subject = format!("{}{}", Self::SUBJECTS, self.subject);
        Plain { subject, value: self.value.as_ref() }.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Plain { subject, value } = Plain::deserialize(deserializer)?;
        let id = subject.strip_prefix(Self::SUBJECTS).and_then(|id| id.parse::<Uuid>().ok());
        let id = id.ok_or_else(|| serde::de::Error::custom("the subject is no user"))?;
        Ok(Self { subject: UserId::new(id), value })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_says_of_whom_and_shows_itself_to_nobody() {
        let user = UserId::new(Uuid::from_u128(7));
        let value = Personal::new(user, "Ada".to_owned());
        assert_eq!(format!("{value:?}"), format!("Personal(user:{user}, ***)"));
        let plain = json!({"subject": format!("user:{user}"), "value": "Ada"});
        assert_eq!(serde_json::to_value(&value).unwrap(), plain);
        assert_eq!(serde_json::from_value::<Personal<String>>(plain).unwrap(), value);
        let closed = json!({"subject": format!("user:{user}")});
        let closed: Personal<String> = serde_json::from_value(closed).unwrap();
        assert_eq!(closed.value(), None);
        let other = json!({"subject": "customer:7"});
        assert!(serde_json::from_value::<Personal<String>>(other).is_err());
    }
}
