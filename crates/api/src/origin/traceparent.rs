//! W3C trace context, version 00.

/// Whether the value is of version 00 of W3C trace context, with ids that are not all zeros.
pub(super) fn is_valid(value: &str) -> bool {
    let mut parts = value.split('-');
    let hexadecimal = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id =
        |part: &str, length| hexadecimal(part, length) && part.bytes().any(|byte| byte != b'0');
    parts.next() == Some("00")
        && parts.next().is_some_and(|trace| id(trace, 32))
        && parts.next().is_some_and(|parent| id(parent, 16))
        && parts.next().is_some_and(|flags| hexadecimal(flags, 2))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn only_a_valid_traceparent_is_recorded() {
        assert!(is_valid("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        ] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }
}
