# syntax=docker/dockerfile:1
# Builds with the locked dependencies, and runs as a numeric user on a small image. The root may be read-only:
#
#   docker build --tag dispatchd .
#   docker run --read-only --cap-drop ALL --volume dispatchd:/var/lib/dispatchd --publish 8080:8080 dispatchd

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The dependencies first, with empty sources: this layer stays as long as the two files do.
COPY Cargo.toml Cargo.lock ./
# The crate of the phones' client changes seldom.
COPY clients/rust ./clients/rust
RUN sed -n 's/^path = "\(.*\.rs\)"$/\1/p' Cargo.toml | while read -r file; do mkdir -p "$(dirname "$file")" && touch "$file"; done \
    && touch src/lib.rs && echo 'fn main() {}' > src/main.rs \
    && cargo build --profile symbols --locked --bin dispatchd
COPY src ./src
# Cargo goes by times, and the empty sources are newer than the files of a checkout.
RUN find src -name '*.rs' -exec touch {} + \
    && cargo build --profile symbols --locked --bin dispatchd \
    && objcopy --only-keep-debug target/symbols/dispatchd dispatchd.debug \
    && objcopy --strip-debug --add-gnu-debuglink=dispatchd.debug target/symbols/dispatchd dispatchd

# The line tables, for a debugger and addr2line: docker build --target symbols --output . .
FROM scratch AS symbols
COPY --from=build /src/dispatchd.debug /

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="dispatchd" \
      org.opencontainers.image.description="Directory that says which way a message goes" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="0.5.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
# Certificate authorities, to trust a mail server or a gateway by.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN groupadd --system --gid 10001 dispatchd \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/dispatchd --shell /usr/sbin/nologin dispatchd \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/dispatchd
COPY --from=build /src/dispatchd /usr/local/bin/dispatchd
COPY config/dispatchd.toml /etc/dispatchd/dispatchd.toml
# A number: Kubernetes can then check runAsNonRoot.
USER 10001:10001
# The grace is less than the 10 s after which a container is killed.
ENV DISPATCHD_CONFIG=/etc/dispatchd/dispatchd.toml \
    DISPATCHD_SERVER__DATA=/var/lib/dispatchd \
    DISPATCHD_SERVER__PHONES=0.0.0.0:8080 \
    DISPATCHD_SERVER__OPERATORS=0.0.0.0:8081 \
    DISPATCHD_SERVER__GRACE=8s
VOLUME ["/var/lib/dispatchd"]
EXPOSE 8080 8081
# Ready, not only alive: the registry is loaded and the log takes records. Bash opens the socket: the image has no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["dispatchd"]
CMD ["serve"]
