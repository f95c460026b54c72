# Everything there is to type. `make run` and `make test` set up whatever they need.

CARGO ?= cargo
TOOLS := .annals/tools
CARGO_DENY := $(TOOLS)/bin/cargo-deny
CARGO_SQLX := $(TOOLS)/bin/cargo-sqlx
WITH_SCHEMA := $(CARGO) run --quiet --locked --package testkit --example with_schema --

.DEFAULT_GOAL := help

.PHONY: help
help: ## Shows this
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: run
run: ## Sets up and starts everything with demo data; Ctrl-C stops it
	@$(CARGO) build --locked --package annals
	@exec "$${CARGO_TARGET_DIR:-target}/debug/annals" dev

.PHONY: test
test: ## Sets up and runs all tests
	$(CARGO) test --locked --workspace

.PHONY: check
check: fmt-check clippy doc deny sqlx-check ## Format, lints, docs, dependencies, SQL

.PHONY: fmt
fmt: ## Formats the code
	$(CARGO) fmt --all

.PHONY: fmt-check
fmt-check:
	$(CARGO) fmt --all --check

.PHONY: clippy
clippy:
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	$(CARGO) clippy --locked --package eventstore --test pooler -- --deny warnings

.PHONY: doc
doc: ## Builds the documentation of the code
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

.PHONY: deny
deny: $(CARGO_DENY)
	$(CARGO_DENY) --locked check bans licenses sources

.PHONY: advisories
advisories: $(CARGO_DENY) ## Asks for known weaknesses of the dependencies; needs the advisory database
	$(CARGO_DENY) --locked check advisories

.PHONY: sqlx
sqlx: $(CARGO_SQLX) ## Describes every query anew, after a change of SQL
	$(WITH_SCHEMA) env SQLX_OFFLINE=false $(abspath $(CARGO_SQLX)) sqlx prepare --workspace -- --all-targets

.PHONY: sqlx-check
sqlx-check: $(CARGO_SQLX)
	$(WITH_SCHEMA) env SQLX_OFFLINE=false $(abspath $(CARGO_SQLX)) sqlx prepare --workspace --check -- --all-targets

.PHONY: contract
contract: ## Writes the descriptions anew, after a change of a message or of the API
	$(CARGO) run --quiet --locked --package annals -- contract write docs/contract
	$(CARGO) run --quiet --locked --package annals -- openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json

# Built without optimization: they start seconds later and are there minutes sooner.
$(CARGO_DENY):
	$(CARGO) install --quiet --debug --locked --root $(TOOLS) --no-default-features cargo-deny@0.20.2

$(CARGO_SQLX):
	$(CARGO) install --quiet --debug --root $(TOOLS) --no-default-features --features postgres,rustls sqlx-cli@0.9.0

# Peers have a workspace of their own: nothing of them gets into the builds of Annals.
.PHONY: bench
bench: ## Measures the store beside the limit of the machine and beside other event stores
	$(CARGO) build --release --locked --package bench
	$(CARGO) build --release --locked --manifest-path bench/peers/Cargo.toml --target-dir target/peers
	target/release/bench --peers target/peers/release/peers $(WORKLOADS)

.PHONY: torture
torture: ## Kills and freezes processes and servers while everything happens; SECONDS=600 SEED=7
	$(CARGO) test --locked --package eventstore --test torture -- --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED))
	$(CARGO) test --locked --package relay --test torture -- --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED))

.PHONY: pooler
pooler: ## Tries the store behind PgBouncer in transaction mode; PGBOUNCER=/path/to/pgbouncer
	$(CARGO) test --locked --package eventstore --test pooler -- "$(PGBOUNCER)"

.PHONY: clean
clean: ## Removes builds, services and their data
	rm -rf target .annals
