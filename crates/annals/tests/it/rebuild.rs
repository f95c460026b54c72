//! Rebuilds that are cut off, paused, given up, held and taken back.

use std::time::Duration;

use eventstore::{
    Append, CommandId, EventStore, EventType, ExpectedVersion, Fingerprint, Metadata, NewEvent,
    StreamId,
};
use rustix::process::Signal;
use serde_json::Value;
use sqlx::{Postgres, Transaction};
use testkit::eventually;
use uuid::Uuid;

use crate::projections::{LIMIT, Shop};
use crate::support::{Process, Site};

impl Site {
    /// Begins a rebuild of orders, in a process of its own, that waits to be compared with the live
    /// one until the transaction ends.
    async fn begin_rebuild(&self, name: &str) -> (Process, Transaction<'static, Postgres>) {
        let mut holding = self.database.pool().begin().await.unwrap();
        sqlx::query(
            "SELECT 1 FROM projections.slots AS s JOIN projections.generations AS g ON g.id = s.generation
             WHERE g.model = 'orders_v4' AND g.state = 'live' FOR UPDATE OF s",
        )
        .execute(&mut *holding)
        .await
        .unwrap();
        let rebuild = self.start(name, &["projections", "rebuild", "orders", "--by", name]);
        eventually(LIMIT, "the rebuild to have begun", async || {
            let overview = self.overview("orders");
            if overview["making"]["conducted"] == true { Ok(()) } else { Err(overview) }
        })
        .await;
        (rebuild, holding)
    }

    /// Waits until nothing is in the making and the live generation is another one than `before`.
    async fn is_live_anew(&self, before: &Value) {
        eventually(LIMIT, "another generation to be live", async || {
            let overview = self.overview("orders");
            let is_new = overview["live"]["generation"] != *before && overview["making"].is_null();
            if is_new { Ok(()) } else { Err(overview) }
        })
        .await;
    }

    fn list(&self) -> String {
        self.run(&["projections", "list"]).ok()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_outlives_who_began_it() {
    let site = Site::new().await;
    let shop = Shop::open(&site, "rebuild-outlives").await;
    for number in 0..5 {
        shop.order(&format!("order {number}")).await;
    }
    let live = site.caught_up("orders").await["live"]["generation"].clone();

    // Paused, it rests wherever it is; and nobody else may begin another one.
    let (rebuild, holding) = site.begin_rebuild("killed").await;
    let pause = ["projections", "pause", "orders", "--rebuild", "--by", "ada"];
    assert_eq!(site.run(&pause).ok(), "the making of orders rests\n");
    holding.rollback().await.unwrap();
    let second = site.run(&["projections", "rebuild", "orders"]).refused();
    assert!(second.contains("orders_v4 is in the making already"), "{second}");
    assert!(second.contains("annals projections cancel"), "it says what to do: {second}");
    let second = site.run(&["projections", "verify", "orders"]).refused();
    assert!(second.contains("orders_v4 is in the making already"), "{second}");
    let paused = site.list();
    assert!(paused.contains("in the making, paused, "), "{paused}");
    let why = site.run(&["why", "orders"]).ok();
    assert!(why.contains("is paused\n") && why.contains("resume orders --rebuild"), "{why}");
    let metrics = shop.client.text("/metrics").await;
    assert!(metrics.contains("annals_projection_rebuild_done{projection=\"orders\"}"), "{metrics}");

    // kill -9 of who makes it: another process takes it up, and it stays paused.
    rebuild.kill9();
    eventually(LIMIT, "the server to take it up", async || {
        let running = format!("process {}", shop.process.id());
        let conductor: Option<String> = sqlx::query_scalar(
            "SELECT w.name FROM projections.generations AS g JOIN projections.workers AS w ON w.id = g.conductor
             WHERE g.state = 'building' AND w.expires_at > clock_timestamp()",
        )
        .fetch_optional(&site.database.pool())
        .await
        .unwrap();
        match conductor {
            Some(name) if name.ends_with(&running) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    shop.order("while it rests").await;
    assert_eq!(
        site.overview("orders")["live"]["generation"],
        live,
        "what rests does not become live"
    );
    let resume = ["projections", "resume", "orders", "--rebuild"];
    assert_eq!(site.run(&resume).ok(), "the making of orders goes on\n");
    site.is_live_anew(&live).await;
    assert!(site.run(&["projections", "verify", "orders"]).ok().contains("orders: 6 rows, equal"));

    // Ctrl-C leaves it to the server.
    let live = site.overview("orders")["live"]["generation"].clone();
    let (mut rebuild, holding) = site.begin_rebuild("left").await;
    rebuild.signal(Signal::INT);
    let status = rebuild.ended(Duration::from_secs(30)).await;
    assert_eq!(status.code(), Some(130), "{}", rebuild.output());
    let told = rebuild.output();
    assert!(told.contains("left to the projectors at position "), "{told}");
    holding.rollback().await.unwrap();
    site.is_live_anew(&live).await;

    // What is given up is gone, and whoever waits for it is told.
    let live = site.overview("orders")["live"]["generation"].clone();
    let (mut rebuild, holding) = site.begin_rebuild("cancelled").await;
    site.run(&pause).ok();
    holding.rollback().await.unwrap();
    let cancelled = site.run(&["projections", "cancel", "orders"]).ok();
    assert!(cancelled.contains("the making of orders is given up"), "{cancelled}");
    let status = rebuild.ended(Duration::from_secs(30)).await;
    assert_eq!(status.code(), Some(1), "{}", rebuild.output());
    assert!(rebuild.output().contains("somebody has given the making of orders up"));
    let overview = site.overview("orders");
    assert_eq!((&overview["making"], &overview["live"]["generation"]), (&Value::Null, &live));
    assert_eq!(site.run(&["projections", "verify", "orders"]).code, 0);
    let done =
        |actor: &str, action: &str| (actor.to_owned(), action.to_owned(), "orders_v4".to_owned());
    assert_eq!(
        site.interventions().await,
        [
            done("killed", "rebuild"),
            done("ada", "pause"),
            done("operator", "resume"),
            done("left", "rebuild"),
            done("cancelled", "rebuild"),
            done("ada", "pause"),
            done("operator", "cancel"),
        ]
    );
}

/// Appends so many copies of the first order, each placed under an id of its own; nobody is told.
async fn append_copies(site: &Site, count: u128) {
    let pool = site.database.pool();
    let first =
        "SELECT payload::text FROM eventstore.events WHERE type = 'ordering.order-placed' LIMIT 1";
    let payload: String = sqlx::query_scalar(first).fetch_one(&pool).await.unwrap();
    let order =
        serde_json::from_str::<Value>(&payload).unwrap()["order_id"].as_str().unwrap().to_owned();
    let store = EventStore::open(pool).await.unwrap();
    let ids: Vec<_> = (1..=count).map(|number| Uuid::from_u128(number << 64)).collect();
    for ids in ids.chunks(500) {
        let stream = |id: &Uuid| StreamId::new(format!("ordering.order-{id}")).unwrap();
        let copy = |id: &Uuid| {
            let payload = payload.replace(&order, &id.to_string());
            NewEvent::new(stream(id), EventType::new("ordering.order-placed", 1), payload)
        };
        let metadata = Metadata {
            actor: "test".to_owned(),
            tenant: None,
            correlation_id: ids[0],
            causation_id: None,
            trace: None,
        };
        let append = Append {
            expectations: ids.iter().map(|id| (stream(id), ExpectedVersion::NO_STREAM)).collect(),
            events: ids.iter().map(copy).collect(),
            ..Append::new(CommandId::new(ids[0]), Fingerprint::of(b""), metadata)
        };
        store.append(append).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_killed_in_the_middle_is_taken_up_where_it_was() {
    let site = Site::new().await;
    let shop = Shop::open(&site, "rebuild-middle").await;
    shop.order("order 1").await;
    append_copies(&site, 10_000).await;
    let before = site.caught_up("orders").await["live"]["generation"].clone();

    // What fills the new one gets as far as its second page, and waits there for this lock.
    let pool = site.database.pool();
    let mut middle = pool.acquire().await.unwrap();
    let highest: i64 = sqlx::query_scalar("SELECT max(id) FROM projections.generations")
        .fetch_one(&pool)
        .await
        .unwrap();
    let wait = format!(
        "SELECT pg_advisory_lock(7);
         CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END $$;
         CREATE TRIGGER wait BEFORE UPDATE OF position ON projections.slots FOR EACH ROW
         WHEN (OLD.position > 0 AND NEW.position > OLD.position AND NEW.generation > {highest})
         EXECUTE FUNCTION wait()",
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(wait)).execute(&mut *middle).await.unwrap();
    let rebuild = site.start("rebuild-killed", &["projections", "rebuild", "orders"]);
    let position = eventually(LIMIT, "the rebuild to be in the middle", async || {
        let overview = site.overview("orders");
        match overview["making"]["position"].as_i64() {
            Some(position) if position > 0 => Ok(position),
            _ => Err(overview),
        }
    })
    .await;
    assert!(position < 10_000, "in the middle: {position}");
    let list = site.list();
    assert!(list.contains(" in the making, ") && !list.contains(" in the making, 0.0 %"), "{list}");
    rebuild.kill9();
    eventually(LIMIT, "nobody or somebody else to work on it", async || {
        let epoch: i64 = sqlx::query_scalar(
            "SELECT epoch FROM projections.generations WHERE state = 'building'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        if epoch > 1 { Ok(()) } else { Err(epoch) }
    })
    .await;
    assert_eq!(site.overview("orders")["making"]["position"], position, "it does not begin anew");
    sqlx::raw_sql("SELECT pg_advisory_unlock(7)").execute(&mut *middle).await.unwrap();
    site.is_live_anew(&before).await;
    let verified = site.run(&["projections", "verify", "orders", "--full-speed"]).ok();
    assert!(verified.contains("  orders: 10001 rows, equal at position "), "{verified}");
    let retired = site.overview("orders")["retired"].clone();
    assert_eq!(retired, before, "what it replaced is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_waits_and_what_was_replaced_can_come_back() {
    let site = Site::new().await;
    let shop = Shop::open(&site, "rebuild-held").await;
    shop.order("order 1").await;
    let first = site.caught_up("orders").await["live"]["generation"].clone();
    let at = |command: &str| site.run(&["projections", command, "orders"]);
    assert!(at("switch").refused().contains("nothing that was made of orders_v4 waits"));
    assert!(
        at("switch-back").refused().contains("nothing is kept that orders_v4 could go back to")
    );
    assert!(at("discard").refused().contains("nothing is kept"));
    assert!(at("cancel").refused().contains("orders_v4 is not in the making"));
    let pause = site.run(&["projections", "pause", "orders", "--rebuild"]);
    assert!(pause.refused().contains("orders_v4 is not in the making"));

    let made = site.run(&["projections", "rebuild", "orders", "--hold"]).ok();
    assert!(made.contains("`annals projections switch orders` makes it live"), "{made}");
    assert!(site.list().contains("made, waits for `switch`"), "{}", site.list());
    let why = site.run(&["why", "orders"]).ok();
    assert!(
        why.contains("is made, and waits\n") && why.contains("switch orders` makes it"),
        "{why}"
    );
    assert_eq!(site.overview("orders")["live"]["generation"], first);
    assert!(at("rebuild").refused().contains("in the making already"));

    // It has fallen behind by then, and is brought to the end of the log first.
    shop.order("order 2").await;
    let switched = at("switch").ok();
    assert!(switched.contains("and live as generation"), "{switched}");
    let second = site.overview("orders")["live"]["generation"].clone();
    assert_ne!(second, first);
    assert_eq!(shop.client.all("/v1/orders").await.len(), 2);

    shop.order("order 3").await;
    // What is paused when it is replaced is not when it comes back.
    site.run(&["projections", "pause", "orders"]).ok();
    shop.client.place_order("order 4", &[(shop.product.clone(), 1)]).await;
    let back = at("switch-back").ok();
    assert!(back.contains("orders is brought up to position "), "{back}");
    assert!(back.contains(&format!("and live as generation {first}")), "{back}");
    assert_eq!(shop.client.all("/v1/orders").await.len(), 4);
    let again = at("switch-back").ok();
    assert!(again.contains(&format!("and live as generation {second}")), "{again}");
    shop.order("order 5").await;
    at("switch-back").ok();
    let overview = site.overview("orders");
    assert_eq!((&overview["live"]["generation"], &overview["retired"]), (&first, &second));
    shop.order("order 6").await;
    assert_eq!(at("verify").code, 0);

    assert!(at("discard").ok().contains("what the last switch of orders replaced is dropped"));
    assert_eq!(site.overview("orders")["retired"], Value::Null);
    assert!(at("switch-back").refused().contains("nothing is kept"));
    let actions: Vec<_> =
        site.interventions().await.into_iter().map(|(_, action, _)| action).collect();
    assert_eq!(
        actions,
        ["rebuild", "switch", "pause", "switch-back", "switch-back", "switch-back", "discard"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_that_is_cut_off_leaves_nothing_or_says_what_it_left() {
    let site = Site::new().await;
    let shop = Shop::open(&site, "rebuild-verify").await;
    shop.order("order 1").await;
    site.caught_up("orders").await;
    let verify = ["projections", "verify", "orders"];
    let pool = site.database.pool();
    let begin = async |name: &str| {
        let mut holding = pool.begin().await.unwrap();
        sqlx::query("SELECT 1 FROM projections.slots FOR UPDATE")
            .execute(&mut *holding)
            .await
            .unwrap();
        let process = site.start(name, &verify);
        eventually(LIMIT, "the verify to have begun", async || {
            let making = site.overview("orders")["making"].clone();
            if making["conducted"] == true { Ok(()) } else { Err(making) }
        })
        .await;
        (process, holding)
    };

    let (mut stopped, holding) = begin("verify-stopped").await;
    assert!(site.list().contains("made to be compared by `verify`"), "{}", site.list());
    stopped.signal(Signal::INT);
    let status = stopped.ended(Duration::from_secs(30)).await;
    assert_eq!(status.code(), Some(1), "{}", stopped.output());
    assert!(stopped.output().contains("stopped: nothing is proved"), "{}", stopped.output());
    holding.rollback().await.unwrap();
    assert_eq!(site.overview("orders")["making"], Value::Null);

    let (killed, holding) = begin("verify-killed").await;
    killed.kill9();
    holding.rollback().await.unwrap();
    eventually(LIMIT, "its lease to end", async || {
        let list = site.list();
        if list.contains("left behind by a `verify`") { Ok(()) } else { Err(list) }
    })
    .await;
    let why = site.run(&["why", "orders"]).ok();
    assert!(why.contains("made for a `verify` that was cut off"), "{why}");
    assert_eq!(site.run(&verify).code, 0, "the next one is in nobody's way");
    assert_eq!(site.overview("orders")["making"], Value::Null);
    assert!(site.interventions().await.is_empty(), "looking is no intervention");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_filled_can_be_given_up() {
    let site = Site::new().await;
    let shop = Shop::open(&site, "rebuild-given-up").await;
    shop.order("order 1").await;
    append_copies(&site, 10_000).await;
    site.caught_up("orders").await;
    let pool = site.database.pool();
    for round in 0..6 {
        let rebuild =
            ["projections", "rebuild", "orders", "--full-speed", "--hold", "--lanes", "4"];
        let mut rebuild = site.start(&format!("given-up-{round}"), &rebuild);
        eventually(LIMIT, "the rebuild to be in the middle", async || {
            let moved: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM projections.slots AS s JOIN projections.generations AS g ON g.id = s.generation
                 WHERE g.state IN ('building', 'built') AND s.position > 0",
            )
            .fetch_one(&pool)
            .await
            .unwrap();
            if moved > 0 { Ok(()) } else { Err(moved) }
        })
        .await;
        site.run(&["projections", "cancel", "orders"]).ok();
        let status = rebuild.ended(Duration::from_secs(30)).await;
        let told = rebuild.output();
        let is_given_up = told.contains("somebody has given the making of orders up");
        assert!(is_given_up || status.success(), "it was made already, or given up: {told}");
        assert_eq!(site.overview("orders")["making"], Value::Null);
    }
}
