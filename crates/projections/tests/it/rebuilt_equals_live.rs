//! Law 7: read models are functions of the log, whoever applies it, in whatever batches, and however
//! often whoever does it dies.

use std::collections::{BTreeMap, BTreeSet};

use application::Undecodable;
use chrono::{DateTime, Utc};
use domain::Event;
use domain::catalog::CatalogEvent;
use domain::identity::{IdentityEvent, RoleName, Standing};
use domain::ids::{InvitationId, OrderId, OrganizationId, ProductId, UserId};
use domain::inventory::InventoryEvent;
use domain::ordering::OrderingEvent;
use domain::organizations::{
    MemberJoined, MemberLeft, MemberRemoved, MemberRoleChanged, OrganizationClosed,
    OrganizationCreated, OrganizationEvent, OrganizationRenamed, OwnershipTransferred,
};
use domain::values::OrganizationName;
use eventstore::{EventStore, Filter, Moment, Position};
use futures_util::TryStreamExt;
use projections::orders::{self, ORDERS, Order, Status};
use projections::products::{self, PRODUCTS, Product};
use projections::{Entry, Projection, Tenant, organizations, time_travel, users};
use proptest::prelude::*;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::history::{History, Turn};
use crate::support::{Running, World, rows_in};

#[derive(Debug, Clone)]
enum Step {
    List {
        stock: i64,
    },
    Reprice {
        product: usize,
        amount: i64,
    },
    Place {
        lines: Vec<(usize, i64)>,
    },
    Organize {
        organization: u128,
        user: u128,
        what: usize,
    },
    Tell {
        count: u16,
    },
    Register {
        is_verified: bool,
    },
    Turn {
        user: usize,
        turn: Turn,
    },
    /// A process comes.
    Start,
    /// A process dies, wherever it is.
    Kill {
        which: usize,
    },
    /// What everybody holds is taken from them: whatever they are at, others do it again.
    Fence,
    /// A read model is made anew.
    Rebuild {
        which: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..8_i64).prop_map(|stock| Step::List { stock }),
        3 => (0..6_usize, 100..103_i64)
            .prop_map(|(product, amount)| Step::Reprice { product, amount }),
        8 => prop::collection::btree_map(0..6_usize, 1..5_i64, 1..4)
            .prop_map(|lines| Step::Place { lines: lines.into_iter().collect() }),
        6 => (0..3_u128, 0..4_u128, 0..7_usize)
            .prop_map(|(organization, user, what)| Step::Organize { organization, user, what }),
        6 => (1..8_u16).prop_map(|count| Step::Tell { count }),
        3 => any::<bool>().prop_map(|is_verified| Step::Register { is_verified }),
        9 => (0..4_usize, turns()).prop_map(|(user, turn)| Step::Turn { user, turn }),
        2 => Just(Step::Start),
        2 => any::<usize>().prop_map(|which| Step::Kill { which }),
        2 => Just(Step::Fence),
        1 => any::<usize>().prop_map(|which| Step::Rebuild { which }),
    ];
    prop::collection::vec(step, 1..40)
}

/// What happens to an organization; it is created first.
fn organized(organization: u128, user: u128, what: usize, is_there: bool) -> OrganizationEvent {
    let organization_id = organization_id(organization);
    let user_id = user_id(user);
    let role: RoleName = format!("role-{what}").try_into().unwrap();
    let name = OrganizationName::try_from(format!("Number {user} of {what}")).unwrap();
    if !is_there {
        let created_at = DateTime::UNIX_EPOCH;
        return OrganizationCreated { organization_id, name, owner_id: user_id, created_at }.into();
    }
    match what {
        0 => OrganizationRenamed { organization_id, name }.into(),
        1 => MemberLeft { organization_id, user_id }.into(),
        2 => MemberRemoved { organization_id, user_id }.into(),
        3 => MemberRoleChanged { organization_id, user_id, role }.into(),
        4 => {
            let (from, to) = (self::user_id(user + 1), user_id);
            OwnershipTransferred { organization_id, from, to, role }.into()
        }
        5 if user == 0 => OrganizationClosed { organization_id }.into(),
        _ => {
            let invitation_id = InvitationId::new(Uuid::nil());
            MemberJoined { organization_id, user_id, role, invitation_id }.into()
        }
    }
}

const fn organization_id(number: u128) -> OrganizationId {
    OrganizationId::new(Uuid::from_u128(100 + number))
}

const fn user_id(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(200 + number))
}

fn turns() -> impl Strategy<Value = Turn> {
    prop_oneof![
        2 => Just(Turn::Verify),
        1 => Just(Turn::Suspend),
        1 => Just(Turn::Reinstate),
        1 => Just(Turn::Deactivate),
        3 => (0..3_u8).prop_map(Turn::Grant),
        1 => (0..3_u8).prop_map(Turn::Withdraw),
        4 => Just(Turn::LogIn),
    ]
}

async fn live(history: &mut History, world: &World, steps: Vec<Step>) -> Vec<Running> {
    let mut processes = vec![world.follow()];
    let mut organizations = BTreeSet::new();
    for step in steps {
        match step {
            Step::List { stock } => {
                history.list(world, stock).await;
            }
            Step::Reprice { product, amount } => {
                if product < history.products.len() {
                    history.reprice(world, product, amount).await;
                }
            }
            Step::Place { mut lines } => {
                lines.retain(|(product, _)| *product < history.products.len());
                if !lines.is_empty() {
                    history.place(world, &lines).await;
                }
            }
            Step::Organize { organization, user, what } => {
                let is_there = !organizations.insert(organization);
                history.organize(world, organized(organization, user, what, is_there)).await;
            }
            Step::Tell { count } => {
                history.tell(world, count).await;
            }
            Step::Register { is_verified } => history.register(world, is_verified).await,
            Step::Turn { user, turn } => {
                if user < history.users.len() {
                    history.turn(world, user, turn).await;
                }
            }
            Step::Start if processes.len() < 4 => processes.push(world.follow()),
            Step::Start => {}
            Step::Kill { which } => {
                let which = which % processes.len();
                processes.remove(which).abort().await;
                if processes.is_empty() {
                    processes.push(world.follow());
                }
            }
            Step::Fence => {
                sqlx::query("UPDATE projections.slots SET owner = NULL, epoch = epoch + 1")
                    .execute(&world.pool())
                    .await
                    .unwrap();
            }
            Step::Rebuild { which } => {
                world.rebuild(projections::ALL[which % projections::ALL.len()]).await;
            }
        }
    }
    processes
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
    let events = page.unwrap().events;
    let mut entries: Vec<_> = events
        .iter()
        .map(|recorded| {
            let [event] = application::decode(recorded).unwrap().try_into().unwrap();
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

/// What the log says, worked out by hand: how each order stands, what each product costs and how much
/// of it is left.
#[derive(Debug, Default, PartialEq, Eq)]
struct Model {
    orders: BTreeMap<OrderId, (Status, i64, usize)>,
    products: BTreeMap<ProductId, (i64, i64)>,
    /// What each is called, whose it is, and whether it is closed.
    organizations: BTreeMap<OrganizationId, (String, UserId, bool)>,
    /// Who belongs to what, and as what.
    members: BTreeMap<(UserId, OrganizationId), Option<String>>,
    users: BTreeMap<UserId, Known>,
}

/// How an account stands, whether its address is proved, its roles and its last login.
type Known = (Standing, bool, BTreeSet<String>, Option<DateTime<Utc>>);

impl Model {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Ordering(OrderingEvent::OrderPlaced(event)) => {
                let placed = (Status::Placed, event.total.amount(), event.lines.len());
                assert!(self.orders.insert(event.order_id, placed).is_none());
            }
            Event::Ordering(OrderingEvent::OrderConfirmed(event)) => {
                self.orders.get_mut(&event.order_id).unwrap().0 = Status::Confirmed;
            }
            Event::Ordering(OrderingEvent::OrderRejected(event)) => {
                self.orders.get_mut(&event.order_id).unwrap().0 = Status::Rejected;
            }
            Event::Catalog(CatalogEvent::ProductListed(event)) => {
                self.products.insert(event.product_id, (event.price.amount(), 0));
            }
            Event::Catalog(CatalogEvent::ProductRepriced(event)) => {
                self.products.get_mut(&event.product_id).unwrap().0 = event.price.amount();
            }
            Event::Inventory(InventoryEvent::StockReceived(event)) => {
                self.products.get_mut(&event.product_id).unwrap().1 +=
                    i64::from(event.quantity.get());
            }
            Event::Inventory(InventoryEvent::StockReserved(event)) => {
                self.products.get_mut(&event.product_id).unwrap().1 -=
                    i64::from(event.quantity.get());
            }
            Event::Organizations(event) => self.take_organization(event),
            Event::Identity(event) => self.take_of_users(event),
            Event::Inventory(_) => {}
        }
    }

    fn take_organization(&mut self, event: &OrganizationEvent) {
        let id = event.organization_id();
        let named = |role: &RoleName| Some(role.as_str().to_owned());
        match event {
            OrganizationEvent::OrganizationCreated(event) => {
                self.organizations
                    .insert(id, (event.name.as_str().to_owned(), event.owner_id, false));
                self.members.insert((event.owner_id, id), None);
            }
            OrganizationEvent::OrganizationRenamed(event) => {
                let name = &mut self.organizations.get_mut(&id).unwrap().0;
                event.name.as_str().clone_into(name);
            }
            OrganizationEvent::OrganizationClosed(_) => {
                self.members.retain(|(_, organization), _| *organization != id);
                self.organizations.get_mut(&id).unwrap().2 = true;
            }
            OrganizationEvent::OwnershipTransferred(event) => {
                self.organizations.get_mut(&id).unwrap().1 = event.to;
                self.members.insert((event.from, id), named(&event.role));
                self.members.insert((event.to, id), None);
            }
            OrganizationEvent::MemberJoined(event) => {
                self.members.insert((event.user_id, id), named(&event.role));
            }
            OrganizationEvent::MemberRoleChanged(event) => {
                self.members.insert((event.user_id, id), named(&event.role));
            }
            OrganizationEvent::MemberLeft(event) => {
                self.members.remove(&(event.user_id, id));
            }
            OrganizationEvent::MemberRemoved(event) => {
                self.members.remove(&(event.user_id, id));
            }
            OrganizationEvent::MemberInvited(_)
            | OrganizationEvent::InvitationWithdrawn(_)
            | OrganizationEvent::InvitationDeclined(_) => {}
        }
    }

    fn take_of_users(&mut self, event: &IdentityEvent) {
        match event {
            IdentityEvent::UserRegistered(event) => {
                let new = (Standing::Active, event.is_verified, BTreeSet::new(), None);
                self.users.insert(event.user_id, new);
            }
            IdentityEvent::EmailVerified(event) => self.known(event.user_id).1 = true,
            IdentityEvent::UserSuspended(event) => {
                self.known(event.user_id).0 = Standing::Suspended;
            }
            IdentityEvent::UserReinstated(event) => self.known(event.user_id).0 = Standing::Active,
            IdentityEvent::UserDeactivated(event) => {
                self.known(event.user_id).0 = Standing::Deactivated;
            }
            IdentityEvent::RoleGranted(event) => {
                self.known(event.user_id).2.insert(event.role.to_string());
            }
            IdentityEvent::RoleWithdrawn(event) => {
                self.known(event.user_id).2.remove(event.role.as_str());
            }
            IdentityEvent::SessionStarted(event) => {
                self.known(event.user_id).3 = Some(event.started_at);
            }
            _ => {}
        }
    }

    fn known(&mut self, user: UserId) -> &mut Known {
        self.users.get_mut(&user).unwrap()
    }

    /// What queries answer.
    async fn queried(world: &World) -> Self {
        let pool = world.pool();
        let orders = orders::list(&pool, orders::Listing::of(Tenant::All), None, u16::MAX)
            .await
            .unwrap()
            .orders;
        let products = products::list(&pool, &products::Listing::default(), None, u16::MAX)
            .await
            .unwrap()
            .products;
        let listing = organizations::Listing { tenant: Tenant::All };
        let known = organizations::list(&pool, listing, None, u16::MAX).await.unwrap();
        let known = known.organizations.into_iter();
        let mut members = BTreeMap::new();
        for user in (0..6).map(user_id) {
            for membership in organizations::of_member(&pool, user).await.unwrap() {
                members.insert((user, membership.organization), membership.role);
            }
        }
        let users =
            users::list(&pool, &users::Listing::default(), None, u16::MAX).await.unwrap().users;
        Self {
            organizations: known
                .map(|known| (known.id, (known.name, known.owner, known.is_closed)))
                .collect(),
            members,
            orders: orders
                .into_iter()
                .map(|order| (order.id, (order.status, order.total, order.lines.len())))
                .collect(),
            products: products
                .into_iter()
                .map(|product| (product.id, (product.price, product.available)))
                .collect(),
            users: users
                .into_iter()
                .map(|user| {
                    (user.id, (user.standing, user.is_verified, user.roles, user.last_login_at))
                })
                .collect(),
        }
    }
}

/// The log as today's domain reads it.
async fn told(world: &World) -> Vec<(Position, Event)> {
    let log = world.store.read_log(Filter::everything(), Position::START, Position::MAX);
    let recorded: Vec<_> = log.try_collect().await.unwrap();
    let read = |recorded: &eventstore::RecordedEvent| -> Result<_, Undecodable> {
        let position = recorded.position;
        Ok(application::decode(recorded)?.into_iter().map(move |event| (position, event)))
    };
    recorded.iter().flat_map(|recorded| read(recorded).unwrap().collect::<Vec<_>>()).collect()
}

#[test]
fn live_is_rebuilt_is_the_model_whoever_dies_and_wherever_batches_are_cut() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cases = ProptestConfig { cases: 8, ..ProptestConfig::default() };
    let cuts = prop::collection::vec(1..6_usize, 1..6);
    proptest!(cases, |(steps in steps(), cuts in cuts)| {
        runtime.block_on(async {
            let world = World::new().await;
            let mut history = History::default();
            let processes = live(&mut history, &world, steps).await;
            world.all_catch_up().await;
            let mut model = Model::default();
            told(&world).await.iter().for_each(|(_, event)| model.take(event));
            model.organizations.retain(|_, (_, _, is_closed)| !*is_closed);
            assert_eq!(Model::queried(&world).await, model);
            for projection in projections::ALL {
                let live = world.rows(projection).await;
                assert_eq!(applied(&world, projection, &cuts).await, live);
                assert_eq!(applied(&world, projection, &[usize::MAX]).await, live);
                world.rebuild(projection).await;
                assert_eq!(world.rows(projection).await, live);
            }
            world.is_as_the_log_says().await;
            for process in processes {
                process.stop().await;
            }
        });
    });
}

/// What a document was at a position is what a query would have found had the read model stood there.
#[tokio::test]
async fn what_was_is_what_a_query_would_have_found() {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 3).await;
    history.list(&world, 9).await;
    for _ in 0..3 {
        history.place(&world, &[(0, 2), (1, 1)]).await;
    }
    history.tell_all(&world).await;
    let source = world.source();
    let mut model = Model::default();
    for (position, event) in told(&world).await {
        model.take(&event);
        let moment = Moment::Position(position);
        let mut was = Model::default();
        for id in &history.orders {
            let order =
                time_travel::document::<Order>(&source, &ORDERS, *id, moment).await.unwrap();
            was.orders
                .extend(order.map(|order| (*id, (order.status, order.total, order.lines.len()))));
        }
        for id in &history.products {
            let found = time_travel::document::<Product>(&source, &PRODUCTS, *id, moment).await;
            let shown = found.unwrap().map(|product| (*id, (product.price, product.available)));
            was.products.extend(shown);
        }
        assert_eq!(was, model, "at {position}");
    }
    let worker = world.follow();
    world.all_catch_up().await;
    let now = Moment::Position(world.store.head().await.unwrap());
    for id in &history.orders {
        let was = time_travel::document::<Order>(&source, &ORDERS, *id, now).await.unwrap();
        assert_eq!(was, orders::get(&world.pool(), Tenant::All, *id).await.unwrap());
    }
    worker.stop().await;
}
