//! Named, versioned payloads: the shape that stored events and public messages share.

use std::fmt;

/// The name and version under which a payload is written; both are for ever.
///
/// Displayed as `ordering.order-placed.v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayloadType {
    /// `context.what-happened`, for example `ordering.order-placed`.
    pub name: &'static str,
    /// Counts from 1; a new version is a new shape of the same fact.
    pub version: i16,
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.v{}", self.name, self.version)
    }
}

/// A stored payload that today's types cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No type of this name and version exists.
    #[error("no payload type {name}.v{version} is known")]
    UnknownType {
        /// The name that was stored.
        name: String,
        /// The version that was stored.
        version: i16,
    },
    /// The payload does not have the shape its type says.
    #[error("payload of {payload_type} has another shape than its type")]
    Malformed {
        /// The type that was stored.
        payload_type: PayloadType,
        /// What the JSON decoder found.
        #[source]
        source: serde_json::Error,
    },
}

/// Declares an enum of payload structs with the name and version each is written under.
///
/// Adding a payload is one line here; encoding, decoding and the list of types follow from it.
macro_rules! payloads {
    (
        $(#[$doc:meta])*
        $enum:ident { $($variant:ident = $name:literal v $version:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $enum {
            $(
                #[doc = concat!("`", $name, ".v", stringify!($version), "`")]
                $variant($variant),
            )+
        }

        impl $enum {
            /// Every type this enum reads and writes.
            pub const TYPES: &'static [$crate::PayloadType] = &[
                $($crate::PayloadType { name: $name, version: $version },)+
            ];

            /// The name and version it is written under.
            #[must_use]
            pub const fn payload_type(&self) -> $crate::PayloadType {
                match self {
                    $(Self::$variant(_) => $crate::PayloadType { name: $name, version: $version },)+
                }
            }

            /// Writes the payload as JSON.
            ///
            /// # Errors
            /// None for the types of this crate: they hold nothing JSON cannot say.
            pub fn encode(&self) -> Result<String, serde_json::Error> {
                match self {
                    $(Self::$variant(payload) => serde_json::to_string(payload),)+
                }
            }

            /// Reads a payload written under `name` and `version`.
            ///
            /// # Errors
            /// [`DecodeError`](crate::DecodeError): the type is not known or the payload does not fit it.
            pub fn decode(name: &str, version: i16, payload: &str) -> Result<Self, $crate::DecodeError> {
                match (name, version) {
                    $(
                        ($name, $version) => serde_json::from_str(payload).map(Self::$variant).map_err(|source| {
                            $crate::DecodeError::Malformed {
                                payload_type: $crate::PayloadType { name: $name, version: $version },
                                source,
                            }
                        }),
                    )+
                    _ => Err($crate::DecodeError::UnknownType { name: name.to_owned(), version }),
                }
            }
        }

        $(
            impl From<$variant> for $enum {
                fn from(payload: $variant) -> Self {
                    Self::$variant(payload)
                }
            }
        )+
    };
}

/// Declares an enum of public payloads: what [`payloads!`] does, and what describes each of them.
///
/// The golden file of each is its example, so that without one it does not build.
macro_rules! public_payloads {
    (
        $(#[$doc:meta])*
        $enum:ident { $($variant:ident = $name:literal v $version:literal,)+ }
    ) => {
        $crate::payload::payloads! { $(#[$doc])* $enum { $($variant = $name v $version,)+ } }

        impl $enum {
            /// What describes each type to those who read it.
            #[must_use]
            pub fn descriptions() -> Vec<$crate::message::Description> {
                vec![$(
                    $crate::message::Description::of::<$variant>(
                        $crate::PayloadType { name: $name, version: $version },
                        include_str!(concat!(
                            env!("CARGO_MANIFEST_DIR"),
                            "/tests/golden/messages/",
                            $name,
                            ".v",
                            stringify!($version),
                            ".json",
                        )),
                    ),
                )+]
            }
        }
    };
}

/// Declares the enum over all contexts' payload enums, dispatching on the context's name.
macro_rules! payload_union {
    (
        $(#[$doc:meta])*
        $enum:ident { $($(#[$variant_doc:meta])* $variant:ident($inner:path) in $context:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $enum {
            $($(#[$variant_doc])* $variant($inner),)+
        }

        impl $enum {
            /// Every type there is, context by context.
            pub fn types() -> impl Iterator<Item = $crate::PayloadType> {
                [$(<$inner>::TYPES,)+].into_iter().flatten().copied()
            }

            /// The name and version it is written under.
            #[must_use]
            pub const fn payload_type(&self) -> $crate::PayloadType {
                match self {
                    $(Self::$variant(inner) => inner.payload_type(),)+
                }
            }

            /// Writes the payload as JSON.
            ///
            /// # Errors
            /// None for the types of this crate: they hold nothing JSON cannot say.
            pub fn encode(&self) -> Result<String, serde_json::Error> {
                match self {
                    $(Self::$variant(inner) => inner.encode(),)+
                }
            }

            /// Reads a payload written under `name` and `version`.
            ///
            /// # Errors
            /// [`DecodeError`](crate::DecodeError): the type is not known or the payload does not fit it.
            pub fn decode(name: &str, version: i16, payload: &str) -> Result<Self, $crate::DecodeError> {
                match name.split_once('.').map(|(context, _)| context) {
                    $(Some($context) => <$inner>::decode(name, version, payload).map(Self::$variant),)+
                    _ => Err($crate::DecodeError::UnknownType { name: name.to_owned(), version }),
                }
            }
        }

        $(
            impl From<$inner> for $enum {
                fn from(inner: $inner) -> Self {
                    Self::$variant(inner)
                }
            }
        )+
    };
}

pub(crate) use {payload_union, payloads, public_payloads};
