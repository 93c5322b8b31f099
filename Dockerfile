# Same Debian release in both stages: the program is linked to the C library of the first and runs on that of the second.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN rustup target add wasm32-unknown-unknown \
 && guest/build.sh \
 && cargo build --locked --release --package connector-host

# The C library, certificate authorities, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="connector-virustotal-livehunt" \
      org.opencontainers.image.description="VirusTotal Livehunt notifications for OpenCTI" \
      org.opencontainers.image.version="1.0.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /build/target/release/connector-host /usr/local/bin/connector-host
# Another guest: a volume over this file, or over the folder with CONNECTOR_GUEST=/guests.
COPY --from=build /build/target/livehunt.wasm /guests/livehunt.wasm
# A config.yml may be mounted here. Nothing is written, here or elsewhere.
WORKDIR /etc/connector
USER 65532:65532
# On the container's own loopback, for the health check.
ENV CONNECTOR_EXPOSE_METRICS=true
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["/usr/local/bin/connector-host", "health"]
ENTRYPOINT ["/usr/local/bin/connector-host"]
CMD ["run"]
