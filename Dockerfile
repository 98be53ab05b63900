# Build with the locked dependencies, run as a user of its own on a small image.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
COPY benches ./benches
COPY tests ./tests
RUN cargo build --profile symbols --locked --bin dispatchd \
    && objcopy --only-keep-debug target/symbols/dispatchd dispatchd.debug \
    && objcopy --strip-debug --add-gnu-debuglink=dispatchd.debug target/symbols/dispatchd dispatchd

# The line tables, for a debugger and addr2line: docker build --target symbols --output . .
FROM scratch AS symbols
COPY --from=build /src/dispatchd.debug /

FROM debian:bookworm-slim
# Certificate authorities, to trust a mail server or a gateway by.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/dispatchd --shell /usr/sbin/nologin dispatchd \
    && install --directory --owner dispatchd --group dispatchd --mode 0700 /var/lib/dispatchd
COPY --from=build /src/dispatchd /usr/local/bin/dispatchd
COPY config/dispatchd.toml /etc/dispatchd/dispatchd.toml
USER dispatchd
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
