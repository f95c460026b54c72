//! Outbox to JetStream, JetStream to inbox, and the CloudEvents contract.
