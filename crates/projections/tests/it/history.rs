//! Histories, made by the rules of the domain: commands of clients, and reactions of policies.

use application::catalog::{ListProduct, RepriceProduct};
use application::ordering::PlaceOrder;
use application::policies::{Incoming, react};
use application::{Command, Origin};
use domain::ids::{OrderId, ProductId};
use domain::ordering::{RequestedLine, RequestedLines};
use domain::organizations::OrganizationEvent;
use domain::values::{Money, ProductName, Quantity, Sku, StockLevel};
use domain::{Aggregates, Decision, Event, Message, POLICIES, Rejection, Stream};
use eventstore::{CommandId, Fingerprint, Metadata, OutboxMessage, Position, aggregate};

use crate::support::{World, id};

/// What has been made, and how far the policies have come in telling each other.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) products: Vec<ProductId>,
    pub(crate) orders: Vec<OrderId>,
    told: Position,
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

fn origin() -> Origin {
    Origin {
        actor: "test".to_owned(),
        tenant: None,
        correlation_id: id(),
        trace: None,
        idempotency_key: None,
    }
}
