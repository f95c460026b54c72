//! An event as one line.

use application::audit::EventRecord;
use eventstore::RecordedEvent;

/// For people; with `as_json` for programs.
pub(super) fn line(mut event: RecordedEvent, as_json: bool) -> anyhow::Result<String> {
    // In JSON a bare line break stands between tokens only, so it says as much as a space.
    if event.payload.contains(['\n', '\r']) {
        event.payload = event.payload.replace(['\n', '\r'], " ");
    }
    if as_json {
        return Ok(serde_json::to_string(&EventRecord::try_from(event)?)?);
    }
    let RecordedEvent { position, recorded_at, stream, version, event_type, payload, .. } = event;
    let at = recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    Ok(format!("{position:>8}  {at}  {event_type:<34}  {stream} @{version}  {payload}"))
}
