//! What it costs that appends are followed: nothing of it recorded, one in a hundred, all of them.
//!
//! The first span of each is begun as a request would; ended spans are encoded for a collector beside
//! the appends, and not sent. What a span itself takes is measured apart: the least of many rounds,
//! because rates of a disk vary more than that.

use std::hint::black_box;
use std::time::{Duration, Instant};

use eventstore::EventStore;
use eventstore::trace::{self, Parent};
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{Span as _, SpanBuilder};
use opentelemetry::{Context, KeyValue, global};
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

/// How many are recorded.
const RATIOS: [Option<f64>; 3] = [None, Some(0.01), Some(1.0)];

/// What a client says that records its trace.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Traces: one event and one outbox row, 64 tasks, under a span of their own");
    let mut measured = [vec![], vec![], vec![]];
    for round in 0..plan.rounds {
        // In another order each time, so that the place in a round favours nobody.
        for turn in 0..RATIOS.len() {
            let at = (round + turn) % RATIOS.len();
            measured[at].push(followed(plan, RATIOS[at]).await?);
        }
    }
    let [off, some, all] = measured.map(median);
    report.rate("nothing recorded", off);
    report.rate("1 in 100 recorded", some);
    report.rate("all recorded", all);
    let ratio = some.rate_per_s / off.rate_per_s;
    report.figure("1 in 100 / nothing", ratio, "", Target::AtLeast(0.95));
    let ratio = all.rate_per_s / off.rate_per_s;
    report.figure("all / nothing", ratio, "", Target::AtLeast(0.75));
    spans(report)
}

/// What one span takes, of a request and of an append.
fn spans(report: &mut Report) -> anyhow::Result<()> {
    let request = || trace::begin("bench", &Context::new(), SpanBuilder::from_name("request"));
    let append =
        |trace| trace::child("bench", trace, Parent::Here, SpanBuilder::from_name("append"));
    global::set_tracer_provider(NoopTracerProvider::new());
    let off = least_ns(|| drop(black_box(request())));
    let unasked = least_ns(|| drop(black_box(append(None))));
    let asked = least_ns(|| drop(black_box(append(Some(CALLER)))));
    let provider = provider(0.0);
    global::set_tracer_provider(provider.clone());
    let dropped = least_ns(|| drop(black_box(request())));
    let recorded = least_ns(|| {
        let mut span = append(Some(CALLER));
        if let Some(span) = &mut span {
            span.set_attribute(KeyValue::new("stream.id", "ordering.order-1".to_owned()));
            black_box(trace::traceparent(span));
        }
    });
    provider.shutdown()?;
    report.note(format!(
        "a request: {off:.0} ns without a collector, {dropped:.0} ns if it is not recorded; an append: \
         {unasked:.0} ns, {asked:.0} ns if only its client records it, {recorded:.0} ns if it is recorded"
    ));
    Ok(())
}

/// The least time of a piece of work, of many rounds.
fn least_ns(mut work: impl FnMut()) -> f64 {
    const TIMES: u32 = 1_000;
    let round = |_| {
        let begun = Instant::now();
        (0..TIMES).for_each(|_| work());
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
    };
    (0..200).map(round).fold(f64::INFINITY, f64::min)
}

fn provider(ratio: f64) -> SdkTracerProvider {
    let ratio = Sampler::TraceIdRatioBased(ratio);
    SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(ratio)))
        .with_batch_exporter(Encoding)
        .build()
}

async fn followed(plan: &Plan<'_>, ratio: Option<f64>) -> anyhow::Result<Measured> {
    let provider = ratio.map(provider);
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
        black_box(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        Ok(())
    }
}
