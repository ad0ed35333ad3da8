# syntax=docker/dockerfile:1
# An image of one binary on distroless: no shell, no package manager, user 65532. docs/OPERATING.md says how to run it.
#
#   docker build -t boathouse .
#   docker run --rm -v boathouse:/data boathouse keys new app --scope read,write,chat
#   docker run -d --name boathouse -p 8642:8642 -e BOATHOUSE__HTTP__BIND=0.0.0.0 -v boathouse:/data boathouse

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive a build, the binary is taken out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin boathouse \
    && cp target/release/boathouse /boathouse \
    && mkdir /empty

# glibc, libgcc and the certificates of public authorities; same Debian as the build.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="Boathouse" \
      org.opencontainers.image.description="Embeddings, vector search, chat dispatch, validation and evidence in one supervised process" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /boathouse /usr/local/bin/boathouse
# A volume takes owner and mode of the folder that it covers.
COPY --from=build --chown=65532:65532 --chmod=0700 /empty /data
ENV BOATHOUSE__STORAGE__DATA_DIR=/data
WORKDIR /data
VOLUME /data
EXPOSE 8642
USER 65532:65532
# Longer than three times http.drain_ms: `docker stop --time 60`, or stop_grace_period.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=15m --retries=3 CMD ["/usr/local/bin/boathouse", "health"]
ENTRYPOINT ["/usr/local/bin/boathouse"]
CMD ["serve"]
