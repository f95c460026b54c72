//! Routes: each with the operation it is declared as.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};

use crate::ApiState;
use crate::layers::{Asked, authorize, idempotent};
use crate::operation::Operation;

/// Routes and what they are declared as.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<ApiState>,
    operations: Vec<Placed>,
}

/// An operation at its address.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) operation: Operation,
}

impl Routes {
    /// Answers GET by `handler`.
    pub(crate) fn get<H: Handler<T, ApiState>, T: 'static>(
        self,
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self {
        self.on((Method::GET, MethodFilter::GET), path, operation, handler)
    }

    /// Answers POST by `handler`.
    pub(crate) fn post<H: Handler<T, ApiState>, T: 'static>(
        self,
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self {
        self.on((Method::POST, MethodFilter::POST), path, operation, handler)
    }

    /// Answers PUT by `handler`.
    pub(crate) fn put<H: Handler<T, ApiState>, T: 'static>(
        self,
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self {
        self.on((Method::PUT, MethodFilter::PUT), path, operation, handler)
    }

    /// Answers DELETE by `handler`.
    pub(crate) fn delete<H: Handler<T, ApiState>, T: 'static>(
        self,
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self {
        self.on((Method::DELETE, MethodFilter::DELETE), path, operation, handler)
    }

    /// The routes of `self` and of `others`.
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.operations.extend(others.operations);
        Self { router: self.router.merge(others.router), ..self }
    }

    /// What there is, in the order it was declared.
    pub(crate) fn operations(&self) -> &[Placed] {
        &self.operations
    }

    /// What answers.
    pub(crate) fn into_router(self) -> Router<ApiState> {
        self.router
    }

    fn on<H: Handler<T, ApiState>, T: 'static>(
        mut self,
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self {
        let mut route = on(filter, handler);
        if let Some(key) = operation.key {
            route = route.route_layer(from_fn_with_state(key, idempotent));
        }
        let asked = Asked {
            permission: operation.permission,
            reach: operation.reach,
            is_by_tenant: operation.is_by_tenant,
        };
        let route = route.route_layer(from_fn_with_state(asked, authorize));
        self.operations.push(Placed { method, path, operation });
        Self { router: self.router.route(path, route), ..self }
    }
}
