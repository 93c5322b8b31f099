FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN rustup target add wasm32-unknown-unknown \
 && guest/build.sh \
 && cargo build --locked --release --package connector-host

FROM debian:bookworm-slim
COPY --from=build /build/target/release/connector-host /usr/local/bin/connector-host
COPY --from=build /build/target/livehunt.wasm /guests/livehunt.wasm
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/connector-host"]
CMD ["run"]
