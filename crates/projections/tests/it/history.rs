//! Histories, made by the rules of the domain: commands of clients, and reactions of policies.

use adapters::SystemClock;
use application::catalog::{ListProduct, RepriceProduct};
use application::ordering::PlaceOrder;
use application::policies::{Incoming, react};
use application::ports::Clock as _;
use application::{Command, CommandError, Origin};
use chrono::{DateTime, TimeDelta, Utc};
use domain::identity::{
    Client, DeactivateUser, DefineRole, GrantRole, RegisterUser, ReinstateUser, RoleName,
    StartSession, SuspendUser, VerifyEmail, WithdrawRole,
};
use domain::ids::{OrderId, ProductId, SessionId, UserId};
use domain::ordering::{RequestedLine, RequestedLines};
use domain::organizations::OrganizationEvent;
use domain::values::{Email, Money, PersonName, ProductName, Quantity, Sku, StockLevel};
use domain::{Aggregates, Decision, Event, Message, POLICIES, Rejection, Stream};
use eventstore::{CommandId, Fingerprint, Metadata, OutboxMessage, Position, aggregate};

use crate::support::{World, id};

/// What has been made, and how far the policies have come in telling each other.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) products: Vec<ProductId>,
    pub(crate) orders: Vec<OrderId>,
    pub(crate) users: Vec<UserId>,
    told: Position,
}

/// What happens to an account, if it may.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turn {
    Verify,
    Suspend,
    Reinstate,
    Deactivate,
    /// Roles by their number.
    Grant(u8),
    Withdraw(u8),
    LogIn,
}

impl History {
    pub(crate) async fn list(&mut self, world: &World, stock: i64) -> ProductId {
        let id = list(world, self.products.len(), stock).await;
        self.products.push(id);
        id
    }

    /// Gives the product of this number another price.
    pub(crate) async fn reprice(&self, world: &World, product: usize, amount: i64) {
        let product_id = self.products[product];
        let price = Money::new(amount, "EUR".parse().unwrap()).unwrap();
        let request = RepriceProduct { product_id, price };
        world.bus.reprice_product(&origin(), request, None).await.unwrap();
    }

    /// Opens an account.
    pub(crate) async fn register(&mut self, world: &World, is_verified: bool) {
        let user_id = UserId::new(id());
        let register = RegisterUser {
            user_id,
            email: email(user_id),
            name: PersonName::try_from("Ada".to_owned()).unwrap(),
            is_verified,
            registered_at: DateTime::UNIX_EPOCH + TimeDelta::hours(1),
        };
        decide(world, "test", vec![Box::new(register)]).await;
        self.users.push(user_id);
    }

    /// Lets `turn` happen to the user of this number, or be refused.
    pub(crate) async fn turn(&self, world: &World, user: usize, turn: Turn) {
        let user_id = self.users[user];
        let role = |number: u8| RoleName::try_from(format!("role-{number}")).unwrap();
        let decisions: Vec<Box<dyn Decision>> = match turn {
            Turn::Verify => vec![Box::new(VerifyEmail { user_id, email: email(user_id) })],
            Turn::Suspend => vec![Box::new(SuspendUser { user_id })],
            Turn::Reinstate => vec![Box::new(ReinstateUser { user_id })],
            Turn::Deactivate => vec![Box::new(DeactivateUser { user_id })],
            Turn::Grant(number) => vec![
                Box::new(DefineRole { role: role(number), grants: [].into() }),
                Box::new(GrantRole { user_id, role: role(number), seen: None }),
            ],
            Turn::Withdraw(number) => vec![Box::new(WithdrawRole { user_id, role: role(number) })],
            Turn::LogIn => vec![Box::new(StartSession {
                proves_second_factor: false,
                session_id: SessionId::new(id()),
                user_id,
                client: Client { address: "192.0.2.1".to_owned(), agent: None },
                started_at: SystemClock.now(),
                expires_at: DateTime::<Utc>::MAX_UTC,
            })],
        };
        decide(world, &format!("user:{user_id}"), decisions).await;
    }

    /// Orders some of each of the products numbered.
    pub(crate) async fn place(&mut self, world: &World, lines: &[(usize, i64)]) -> OrderId {
        let lines = lines.iter().map(|(product, quantity)| RequestedLine {
            product_id: self.products[*product],
            quantity: Quantity::try_from(*quantity).unwrap(),
        });
        let lines = RequestedLines::try_from(lines.collect::<Vec<_>>()).unwrap();
        let placed = world.bus.place_order(&origin(), PlaceOrder { lines }).await;
        let (id, _) = placed.unwrap();
        self.orders.push(id);
        id
    }

    /// Lets `event` happen to an organization, whatever its rules say: those are tried elsewhere.
    pub(crate) async fn organize(&self, world: &World, event: OrganizationEvent) {
        let metadata = Metadata {
            actor: "test".to_owned(),
            tenant: Some(event.organization_id().get()),
            correlation_id: id(),
            causation_id: None,
            trace: None,
        };
        let given = aggregate::Command {
            id: CommandId::new(id()),
            fingerprint: Fingerprint::of(b"organize"),
            metadata,
        };
        let decisions: Vec<Box<dyn Decision>> = vec![Box::new(Given(event.into()))];
        world.bus.execute(&Command { given, decisions, expected: None }).await.unwrap();
    }

    /// Lets the policies react to at most `count` further messages; says to how many they did.
    pub(crate) async fn tell(&mut self, world: &World, count: u16) -> usize {
        let messages = world.store.read_outbox(self.told, count).await.unwrap();
        for OutboxMessage { event: recorded, .. } in &messages {
            let [event] = application::decode(recorded).unwrap().try_into().unwrap();
            let message = Message::of(&event).unwrap();
            let message_type = message.payload_type();
            for policy in POLICIES.iter().filter(|policy| policy.reads.contains(&message_type)) {
                let mut transaction = world.store.pool().begin().await.unwrap();
                let incoming = Incoming {
                    id: recorded.id.get(),
                    name: message_type.name,
                    version: message_type.version,
                    data: &message.encode().unwrap(),
                    correlation_id: recorded.metadata.correlation_id,
                    tenant: recorded.metadata.tenant,
                    trace: None,
                };
                react(&world.bus, &mut transaction, policy, incoming).await.unwrap();
                transaction.commit().await.unwrap();
            }
            self.told = recorded.position;
        }
        messages.len()
    }

    /// Lets the policies react until nothing follows any more: every order is settled.
    pub(crate) async fn tell_all(&mut self, world: &World) {
        while self.tell(world, 100).await > 0 {}
    }
}

/// What is given to happen.
struct Given(Event);

impl Decision for Given {
    fn streams(&self) -> Vec<Stream> {
        vec![self.0.stream()]
    }

    fn decide(&self, _: &Aggregates) -> Result<Vec<Event>, Rejection> {
        Ok(vec![self.0.clone()])
    }
}

pub(crate) async fn list(world: &World, number: usize, stock: i64) -> ProductId {
    let product = ListProduct {
        sku: Sku::try_from(format!("SKU-{number}")).unwrap(),
        name: ProductName::try_from(format!("Product \"{number}\" ☃")).unwrap(),
        price: Money::new(100, "EUR".parse().unwrap()).unwrap(),
        stock: StockLevel::try_from(stock).unwrap(),
    };
    world.bus.list_product(&origin(), product).await.unwrap().0
}

fn email(user: UserId) -> Email {
    format!("{user}@example.org").parse().unwrap()
}

/// Does what may be done.
async fn decide(world: &World, actor: &str, decisions: Vec<Box<dyn Decision>>) {
    let metadata = Metadata {
        actor: actor.to_owned(),
        tenant: None,
        correlation_id: id(),
        causation_id: None,
        trace: None,
    };
    let (id, fingerprint) = (CommandId::new(id()), Fingerprint::of(b""));
    let given = aggregate::Command { id, fingerprint, metadata };
    let command = Command { given, decisions, expected: None };
    match world.bus.execute(&command).await {
        Ok(_) | Err(CommandError::Rejected(_)) => {}
        Err(error) => panic!("{error:?}"),
    }
}

fn origin() -> Origin {
    Origin {
        actor: "test".to_owned(),
        tenant: None,
        correlation_id: id(),
        trace: None,
        idempotency_key: None,
    }
}
