//! Whether a contract keeps what an earlier one promised to its readers.
//!
//! Whatever may be written by the new contract must be what a reader of the old one expects. So a
//! new contract may add messages, members and headers, and may promise more (a narrower range, a
//! member that is now always there); it may not take away, and it may not loosen: then readers meet
//! what they were told would not come. What cannot be compared (another pattern, say) counts as
//! broken. Descriptions may change; whether the meaning did, no program can tell.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use super::documents::{ASYNC_API, Documents, schema_path};

/// A promise that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Break {
    /// The type of the message; `None` if it is about headers, which all messages have.
    message_type: Option<String>,
    /// What became of what.
    what: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message_type {
            Some(name) => {
                write!(f, "{name}: {}; publish it as {} instead", self.what, next_version(name))
            }
            None => write!(f, "every message: {}; readers rely on it, so keep it", self.what),
        }
    }
}

/// What readers of `earlier` relied on and `current` does not keep.
#[must_use]
pub fn breaks(earlier: &Documents, current: &Documents) -> Vec<Break> {
    let mut breaks = Vec::new();
    for (path, schema) in earlier {
        let Some(name) = path.strip_prefix("schemas/").and_then(|name| name.strip_suffix(".json"))
        else {
            continue;
        };
        let mut comparison = Comparison::new(Some(name), "member", schema);
        match current.get(&schema_path(name)) {
            Some(now) => comparison.whole(now),
            None => comparison.broken("it was removed".to_owned()),
        }
        breaks.append(&mut comparison.breaks);
        breaks.extend(moved(name, earlier, current));
    }
    breaks.extend(headers(earlier, current));
    breaks
}

/// The subject of a message, if it is another one now.
fn moved(name: &str, earlier: &Documents, current: &Documents) -> Option<Break> {
    let address = |documents: &Documents| {
        documents.get(ASYNC_API)?["channels"][name]["address"].as_str().map(str::to_owned)
    };
    let (before, now) = (address(earlier)?, address(current)?);
    (before != now).then(|| Break {
        message_type: Some(name.to_owned()),
        what: format!("its subject was `{before}` and is `{now}`"),
    })
}

fn headers(earlier: &Documents, current: &Documents) -> Vec<Break> {
    let schema = |documents: &Documents| {
        documents
            .get(ASYNC_API)
            .map(|document| document["components"]["schemas"]["headers"].clone())
    };
    let (Some(before), Some(now)) = (schema(earlier), schema(current)) else { return Vec::new() };
    let mut comparison = Comparison::new(None, "header", &before);
    comparison.whole(&now);
    comparison.breaks
}

/// `ordering.order-placed.v2` for `ordering.order-placed.v1`.
fn next_version(name: &str) -> String {
    let next = name.rsplit_once(".v").and_then(|(name, version)| {
        let version: u32 = version.parse().ok()?;
        Some(format!("{name}.v{}", version + 1))
    });
    next.unwrap_or_else(|| "another version".to_owned())
}

/// The comparison of two schemas, and what it has found.
struct Comparison<'a> {
    message_type: Option<&'a str>,
    /// What a property is called here: a member or a header.
    part: &'static str,
    before: &'a Value,
    /// References that are being followed, so that a recursive schema comes to an end.
    following: Vec<(String, String)>,
    breaks: Vec<Break>,
}

impl<'a> Comparison<'a> {
    fn new(message_type: Option<&'a str>, part: &'static str, before: &'a Value) -> Self {
        Self { message_type, part, before, following: Vec::new(), breaks: Vec::new() }
    }

    fn broken(&mut self, what: String) {
        self.breaks.push(Break { message_type: self.message_type.map(str::to_owned), what });
    }

    fn whole(&mut self, now: &Value) {
        let before = self.before;
        self.schema("", before, now, now);
    }

    /// Compares the schemas of the part at `path`; `root` is what references of `now` are within.
    fn schema(&mut self, path: &str, before: &Value, now: &Value, root: &Value) {
        let step = (reference(before), reference(now));
        if !step.0.is_empty() || !step.1.is_empty() {
            if self.following.contains(&step) {
                return;
            }
            self.following.push(step.clone());
        }
        let (before, now) = (resolved(self.before, before), resolved(root, now));
        for (keyword, promised) in &before {
            let kept = now.get(keyword);
            match keyword.as_str() {
                // They say nothing about what may come, or were looked at already.
                "$comment" | "$defs" | "$ref" | "$schema" | "default" | "deprecated"
                | "description" | "examples" | "title" => {}
                "properties" => self.properties(path, promised, &now, root),
                "required" => self.required(path, promised, &now),
                "items" => match kept {
                    Some(kept) => self.schema(&format!("{path}[]"), promised, kept, root),
                    None => self.loosened(path, keyword, promised, kept),
                },
                _ if is_kept(keyword, promised, kept, &now) => {}
                _ => self.loosened(path, keyword, promised, kept),
            }
        }
        if !step.0.is_empty() || !step.1.is_empty() {
            self.following.pop();
        }
    }

    fn properties(&mut self, path: &str, before: &Value, now: &Map<String, Value>, root: &Value) {
        for (name, before) in before.as_object().into_iter().flatten() {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match now.get("properties").and_then(|properties| properties.get(name)) {
                Some(now) => self.schema(&inner, before, now, root),
                None => self.broken(format!("{} `{inner}` was removed", self.part)),
            }
        }
    }

    fn required(&mut self, path: &str, before: &Value, now: &Map<String, Value>) {
        let kept: BTreeSet<&str> = names(now.get("required"));
        for name in names(Some(before)).difference(&kept) {
            // One that was removed has been told already.
            if now.get("properties").is_some_and(|properties| properties.get(name).is_some()) {
                let inner =
                    if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
                self.broken(format!(
                    "{} `{inner}` was always there and may be missing now",
                    self.part
                ));
            }
        }
    }

    fn loosened(&mut self, path: &str, keyword: &str, before: &Value, now: Option<&Value>) {
        let of = match path {
            "" => String::new(),
            path => format!(" of {} `{path}`", self.part),
        };
        let now = now.map_or("gone".to_owned(), |now| format!("`{now}`"));
        self.broken(format!("`{keyword}`{of} was `{before}` and is {now}"));
    }
}

/// Whether everything that may come now is what `keyword` promised.
fn is_kept(
    keyword: &str,
    promised: &Value,
    kept: Option<&Value>,
    now: &Map<String, Value>,
) -> bool {
    match keyword {
        "type" => kept.is_some_and(|kept| {
            let promised = alternatives(promised);
            alternatives(kept).iter().all(|kind| {
                promised.contains(kind)
                    || (*kind == "integer" && promised.contains(&&Value::from("number")))
            })
        }),
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
            kept.is_some_and(|kept| is_in_order(promised, kept))
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            kept.is_some_and(|kept| is_in_order(kept, promised))
        }
        "const" | "enum" => {
            let promised = if keyword == "const" { vec![promised] } else { alternatives(promised) };
            let may_come = match (now.get("const"), now.get("enum")) {
                (Some(only), _) => vec![only],
                (None, Some(some)) => alternatives(some),
                (None, None) => return false,
            };
            may_come.iter().all(|value| promised.contains(value))
        }
        _ => kept == Some(promised),
    }
}

/// The members of a list, or the one value that stands alone.
fn alternatives(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |values| values.iter().collect())
}

fn names(list: Option<&Value>) -> BTreeSet<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether `lower` is at most `upper`; whole numbers exactly, and others only if they are equal.
fn is_in_order(lower: &Value, upper: &Value) -> bool {
    let whole =
        |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    match (whole(lower), whole(upper)) {
        (Some(lower), Some(upper)) => lower <= upper,
        _ => lower == upper,
    }
}

fn reference(schema: &Value) -> String {
    schema["$ref"].as_str().unwrap_or_default().to_owned()
}

/// The keywords of `schema` and of what it refers to within `root`.
fn resolved(root: &Value, schema: &Value) -> Map<String, Value> {
    let own = schema.as_object().cloned().unwrap_or_default();
    let Some(target) = own.get("$ref").and_then(Value::as_str) else { return own };
    let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
    let mut keywords = target.map(|target| resolved(root, target)).unwrap_or_default();
    keywords.extend(own);
    keywords
}

#[cfg(test)]
mod tests;
