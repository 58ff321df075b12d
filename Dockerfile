# syntax=docker/dockerfile:1
# Builds the program in the toolchain that rust-toolchain.toml names, and ships it alone with the CA certificates.
FROM rust:1.95-slim-bookworm AS build
# zstd's C sources need a compiler; the image has none.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p gateway && cp target/release/trefoil /trefoil && mkdir -p /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /trefoil /usr/local/bin/trefoil
# The default data directory, writable for the image's user when no volume is mounted.
COPY --from=build --chown=nonroot:nonroot /data /var/lib/trefoil
EXPOSE 8080 4317 4318
ENTRYPOINT ["/usr/local/bin/trefoil"]
CMD ["serve"]
