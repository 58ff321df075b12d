# syntax=docker/dockerfile:1
# Builds the program with the toolchain that rust-toolchain.toml names and ships it alone, with the CA certificates.
FROM rust:1.95.0-slim-bookworm AS build
# The image's own toolchain as it is: the lint components of rust-toolchain.toml are not needed here.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p gateway && cp target/release/trefoil /trefoil && mkdir -p /data

# glibc and libgcc of the same Debian, and nothing else: no shell, no packages.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /trefoil /usr/local/bin/trefoil
# The default data directory, writable for the image's own user where no volume is mounted.
COPY --from=build --chown=65532:65532 /data /var/lib/trefoil
EXPOSE 8080 4317 4318 9411 14268 14250 5778 8200 6831/udp 6832/udp
ENTRYPOINT ["/usr/local/bin/trefoil"]
CMD ["serve"]
