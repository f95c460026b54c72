//! What it costs that appends are followed: nothing of it recorded, one in a hundred, all of them.
//!
//! The first span of each is begun as a request would; ended spans are encoded for a collector beside
//! the appends, and not sent.

use std::time::Duration;

use eventstore::{EventStore, trace};
use opentelemetry::trace::SpanBuilder;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::{Context, global};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use prost::Message as _;

use super::{Plan, median};
use crate::load::{self, Measured};
use crate::report::{Report, Target};
use crate::{event, server};

const TASKS: usize = 64;

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Traces: one event and one outbox row, 64 tasks, under a span of their own");
    let (mut off, mut some, mut all) = (vec![], vec![], vec![]);
    for _ in 0..plan.rounds {
        off.push(followed(plan, None).await?);
        some.push(followed(plan, Some(0.01)).await?);
        all.push(followed(plan, Some(1.0)).await?);
    }
    let [off, some, all] = [off, some, all].map(median);
    report.rate("nothing recorded", off);
    report.rate("1 in 100 recorded", some);
    report.rate("all recorded", all);
    let ratio = some.rate_per_s / off.rate_per_s;
    report.figure("1 in 100 / nothing", ratio, "", Target::AtLeast(0.95));
    let ratio = all.rate_per_s / off.rate_per_s;
    report.figure("all / nothing", ratio, "", Target::AtLeast(0.75));
    Ok(())
}

async fn followed(plan: &Plan<'_>, ratio: Option<f64>) -> anyhow::Result<Measured> {
    let provider = ratio.map(|ratio| {
        SdkTracerProvider::builder()
            .with_sampler(Sampler::TraceIdRatioBased(ratio))
            .with_batch_exporter(Encoding)
            .build()
    });
    match &provider {
        Some(provider) => global::set_tracer_provider(provider.clone()),
        None => global::set_tracer_provider(NoopTracerProvider::new()),
    }
    let database = plan.server.database().await;
    let store = server::store(database.url()).await?;
    let measured = append(store, plan.time).await;
    if let Some(provider) = provider {
        provider.shutdown()?;
    }
    measured
}

async fn append(store: EventStore, time: Duration) -> anyhow::Result<Measured> {
    load::run(TASKS, time, move |_| {
        let store = store.clone();
        async move {
            let span = SpanBuilder::from_name("request");
            let span = trace::begin("bench", &Context::new(), span);
            let mut append = event::append(event::id(), 0);
            append.metadata.trace = span.as_ref().map(trace::traceparent);
            store.append(append).await?;
            Ok(())
        }
    })
    .await
}

/// Does to spans what is done to them before they are sent.
#[derive(Debug)]
struct Encoding;

impl SpanExporter for Encoding {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource = ResourceAttributesWithSchema::default();
        let resource_spans = group_spans_by_resource_and_scope(batch, &resource);
        std::hint::black_box(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        Ok(())
    }
}
