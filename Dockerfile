# syntax=docker/dockerfile:1
# The one binary of Annals, for every role: `docker build -t annals .`

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Queries are checked against .sqlx (SQLX_OFFLINE is set in .cargo/config.toml) and migrations are
# compiled in, so the build needs no database. `target` is a cache and no part of the image, so the
# binary is copied out of it in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/usr/local/cargo/git \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package annals \
    && cp target/release/annals /usr/local/bin/annals

FROM debian:bookworm-slim
# Certificate authorities for TLS to PostgreSQL and NATS; nothing else is needed at run time.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin annals
COPY --from=build /usr/local/bin/annals /usr/local/bin/annals
USER 10001
# SIGTERM drains. Say which roles: `serve --role api`; without, all of them.
ENTRYPOINT ["annals"]
CMD ["serve"]
