//! The macro that makes an enum of codes, and what all of these enums share.

use std::fmt;

use serde::de;
use utoipa::openapi::{ObjectBuilder, RefOr, Type, extensions::Extensions, schema::Schema};

/// Declares an enum whose cases have a stable number on disk and a stable code in JSON. Under `with`, a line
/// `Case(Enum) = offset` takes in all cases of another enum, with its codes, and its numbers added to the offset.
macro_rules! codes {
    ($(#[doc = $doc:literal])* $(#[derive($($derived:ident),*)])? $name:ident {
        $(
            $(#[doc = $case_doc:literal])* $(#[default $($never:tt)?])?
            $case:ident = $number:literal $code:literal,
        )*
    } $(with { $($(#[$nest_doc:meta])* $nest:ident($inner:ty) = $offset:literal,)* })?) => {
        $(#[doc = $doc])*
        $(#[derive($($derived),*)])?
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[doc = $case_doc])* $(#[default $($never)?])? $case,)*
            $($($(#[$nest_doc])* $nest($inner),)*)?
        }

        impl $name {
            /// Every case.
            pub const ALL: &[Self] = &{
                let own = [$(Self::$case),*];
                let mut all = [own[0]; [$($number),*].len() $($(+ <$inner>::ALL.len())*)?];
                let mut next = 0;
                while next < own.len() {
                    all[next] = own[next];
                    next += 1;
                }
                $($(
                    let mut inner = 0;
                    while inner < <$inner>::ALL.len() {
                        all[next] = Self::$nest(<$inner>::ALL[inner]);
                        (inner, next) = (inner + 1, next + 1);
                    }
                )*)?
                assert!(next == all.len());
                all
            };

            /// The code in JSON, on the command line and in the API. Stable.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$case => $code,)*
                    $($(Self::$nest(inner) => inner.code(),)*)?
                }
            }

            /// The number on disk. Stable, never reused, never 0.
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$case => $number,)*
                    $($(Self::$nest(inner) => $offset + inner.number(),)*)?
                }
            }

            /// From the number on disk.
            pub const fn from_number(number: u8) -> Option<Self> {
                const BY_NUMBER: [Option<$name>; 256] = {
                    let mut all = [None; 256];
                    let mut next = 0;
                    while next < <$name>::ALL.len() {
                        let case = <$name>::ALL[next];
                        all[case.number() as usize] = Some(case);
                        next += 1;
                    }
                    all
                };
                BY_NUMBER[number as usize]
            }

            /// What the case means, as its comment says it: for the API's description.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$case => concat!($($case_doc),*).trim_ascii(),)*
                    $($(Self::$nest(inner) => inner.meaning(),)*)?
                }
            }

            /// From the code.
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|case| case.code() == code)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.code())
            }
        }

        $crate::vocabulary::code_json!($name, stringify!($name), concat!($($doc),*), code);
    };
}

/// Gives an enum with `ALL` and `meaning` its JSON form, the text that `$code` returns, and the schema `$schema` with the
/// description `$doc`.
macro_rules! code_json {
    ($name:ident, $schema:expr, $doc:expr, $code:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.$code())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read = |text: &str| Self::ALL.iter().copied().find(|case| case.$code() == text);
                deserializer.deserialize_str($crate::vocabulary::CodeVisitor(read))
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                let described = Self::ALL.iter().map(|case| (case.$code(), case.meaning()));
                $crate::vocabulary::code_schema($doc, described)
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }
        }
    };
}

pub(crate) use {code_json, codes};

/// Reads a code as a case. The error does not repeat the text: it may be anything.
pub(crate) struct CodeVisitor<T>(pub(crate) fn(&str) -> Option<T>);

impl<T> de::Visitor<'_> for CodeVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a code of the API")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.0(text).ok_or_else(|| E::custom("an unknown code"))
    }
}

/// The description of an enum of codes: a string that is one of these, and what each means.
pub(crate) fn code_schema(
    description: &str,
    codes: impl Iterator<Item = (&'static str, &'static str)> + Clone,
) -> RefOr<Schema> {
    let meanings: serde_json::Value = codes.clone().collect();
    let meanings = Extensions::builder().add("x-enumDescriptions", meanings).build();
    let codes = codes.map(|(code, _)| code);
    let codes = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
    codes.description(Some(description.trim())).extensions(Some(meanings)).into()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fmt::Debug, hash::Hash};

    use serde::{Serialize, de::DeserializeOwned};

    use crate::vocabulary::{
        Cause, ChangeKind, FlagReason, HandleLoss, Limit, Platform, ProblemCode, QuotaLimit,
        Reason, Retry, Route, Together,
    };

    fn check<T>(all: &[T], code: fn(T) -> &'static str, number: fn(T) -> u8, read: Read<T>)
    where
        T: Copy + Debug + Eq + Hash + Serialize + DeserializeOwned,
    {
        let mut met = (HashSet::new(), HashSet::new(), HashSet::new());
        for &case in all {
            let (text, number) = (code(case), number(case));
            assert!(met.0.insert(case) && met.1.insert(text) && met.2.insert(number), "{case:?}");
            assert_ne!(number, 0, "{case:?}");
            assert_eq!((read.0(text), read.1(number)), (Some(case), Some(case)));
            let json = serde_json::to_string(&case).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<T>(&json).unwrap(), case);
        }
        assert_eq!((read.0("planted"), read.1(0), read.1(255)), (None, None, None));
        let error = serde_json::from_str::<T>("\"planted\"").unwrap_err().to_string();
        assert!(!error.contains("planted"), "{error}");
    }

    type Read<T> = (fn(&str) -> Option<T>, fn(u8) -> Option<T>);

    #[test]
    fn every_case_has_a_code_and_a_number_of_its_own_and_is_read_back() {
        macro_rules! check_all {
            ($($name:ident),*) => {
                $(check($name::ALL, $name::code, $name::number, ($name::from_code, $name::from_number));)*
            };
        }
        check_all!(Route, Together, Reason, HandleLoss, ChangeKind, Cause, Platform);
        check_all!(ProblemCode, Retry, Limit, QuotaLimit, FlagReason);
    }
}
