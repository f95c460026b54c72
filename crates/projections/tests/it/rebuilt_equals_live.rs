//! Law 7: read models are functions of the log, whoever applies it and in whatever batches.

use eventstore::{EventStore, Filter, Position};
use projections::rebuild::rebuild;
use projections::{Entry, Projection};
use proptest::prelude::*;
use sqlx::AssertSqlSafe;

use crate::history::History;
use crate::support::{World, rows_in};

#[derive(Debug, Clone)]
enum Step {
    List { stock: i64 },
    Place { lines: Vec<(usize, i64)> },
    Tell { count: u16 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..8_i64).prop_map(|stock| Step::List { stock }),
        4 => prop::collection::btree_map(0..6_usize, 1..5_i64, 1..4)
            .prop_map(|lines| Step::Place { lines: lines.into_iter().collect() }),
        3 => (1..8_u16).prop_map(|count| Step::Tell { count }),
    ];
    prop::collection::vec(step, 1..40)
}

async fn live(history: &mut History, world: &World, steps: Vec<Step>) {
    for step in steps {
        match step {
            Step::List { stock } => {
                history.list(world, stock).await;
            }
            Step::Place { mut lines } => {
                lines.retain(|(product, _)| *product < history.products.len());
                if !lines.is_empty() {
                    history.place(world, &lines).await;
                }
            }
            Step::Tell { count } => {
                history.tell(world, count).await;
            }
        }
    }
}

/// The rows that `projection` has after the whole log, applied in batches of the lengths `cuts`.
async fn applied(world: &World, projection: &Projection, cuts: &[usize]) -> Vec<String> {
    let mut transaction = world.store.pool().begin().await.unwrap();
    let setup = format!("CREATE SCHEMA cut; SET LOCAL search_path = cut; {}", projection.schema);
    sqlx::raw_sql(AssertSqlSafe(setup)).execute(&mut *transaction).await.unwrap();
    let head = EventStore::head_in(&mut transaction).await.unwrap();
    let filter = Filter::types(projection.reads.iter().copied());
    let page =
        world.store.read_page_in(&mut transaction, &filter, Position::START, head, u16::MAX).await;
    let mut entries: Vec<_> = page
        .unwrap()
        .events
        .into_iter()
        .map(|recorded| {
            let [event] = application::decode(&recorded).unwrap().try_into().unwrap();
            Entry { event, recorded }
        })
        .collect();
    let mut cuts = cuts.iter().cycle();
    while !entries.is_empty() {
        let length = entries.len().min(*cuts.next().unwrap());
        let batch: Vec<_> = entries.drain(..length).collect();
        (projection.apply)(&mut transaction, &batch).await.unwrap();
    }
    let rows = rows_in(&mut transaction, "cut").await;
    transaction.rollback().await.unwrap();
    rows
}

async fn schema_oid(world: &World, projection: &Projection) -> String {
    sqlx::query_scalar("SELECT oid::text FROM pg_namespace WHERE nspname = $1")
        .bind(projection.schema_name())
        .fetch_one(&world.pool())
        .await
        .unwrap()
}

#[test]
fn a_rebuilt_read_model_equals_the_live_one_wherever_batches_are_cut() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cases = ProptestConfig { cases: 8, ..ProptestConfig::default() };
    let cuts = prop::collection::vec(1..6_usize, 1..6);
    proptest!(cases, |(steps in steps(), cuts in cuts)| {
        runtime.block_on(async {
            let world = World::new().await;
            let workers = world.follow_all();
            let mut history = History::default();
            live(&mut history, &world, steps).await;
            world.all_catch_up().await;
            for worker in workers {
                worker.stop().await;
            }
            for projection in projections::ALL {
                let live = world.rows(projection).await;
                assert_eq!(applied(&world, projection, &cuts).await, live);
                assert_eq!(applied(&world, projection, &[usize::MAX]).await, live);
                let before = schema_oid(&world, projection).await;
                let position = rebuild(&world.store, projection, |_| {}).await.unwrap();
                assert_eq!(position, world.store.head().await.unwrap());
                assert_ne!(schema_oid(&world, projection).await, before, "it is a new one");
                assert_eq!(world.rows(projection).await, live);
            }
        });
    });
}
