# One image for every process of Backupsite: web, worker, beat and sweeper differ in their command only.
ARG PYTHON=3.13-slim-bookworm

# --- what runs, built apart so that pip and its caches stay behind ----------------------------------------------------
FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/backupsite/venv
COPY requirements.txt /tmp/requirements.txt
RUN /opt/backupsite/venv/bin/pip install --prefer-binary -r /tmp/requirements.txt \
    && /opt/backupsite/venv/bin/python -m compileall -q /opt/backupsite/venv/lib

# --- the image --------------------------------------------------------------------------------------------------------
FROM python:${PYTHON}

# The dump tools of each vendor: a client must be at least as new as the server it reads. postgresql-common brings the
# key of its repository; MongoDB's key has to be fetched. MongoDB packs its tools for Debian on amd64 only.
ARG POSTGRES_VERSIONS="14 15 16 17 18"
ARG MONGODB_SERIES=8.0
ADD --chmod=644 https://pgp.mongodb.com/server-${MONGODB_SERIES}.asc /usr/share/keyrings/mongodb.asc
# Versions are the vendors' newest of each series: they remove older ones, so a pin would break the build.
# hadolint ignore=DL3008,SC2086
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates postgresql-common tini \
    && . /etc/os-release \
    && pgdg=/usr/share/postgresql-common/pgdg/apt.postgresql.org.asc \
    && echo "deb [signed-by=${pgdg}] https://apt.postgresql.org/pub/repos/apt ${VERSION_CODENAME}-pgdg main" \
        > /etc/apt/sources.list.d/pgdg.list \
    && packages="" \
    && for version in ${POSTGRES_VERSIONS}; do packages="${packages} postgresql-client-${version}"; done \
    && if [ "$(dpkg --print-architecture)" = amd64 ]; then \
        echo "deb [signed-by=/usr/share/keyrings/mongodb.asc] https://repo.mongodb.org/apt/debian ${VERSION_CODENAME}/mongodb-org/${MONGODB_SERIES} main" \
            > /etc/apt/sources.list.d/mongodb.list \
        && packages="${packages} mongodb-database-tools"; \
    fi \
    && apt-get update \
    && apt-get install -y --no-install-recommends ${packages} \
    && rm -rf /var/lib/apt/lists/*

# A fixed number, so that a volume's owner is the same on every host.
RUN groupadd --gid 10001 backupsite \
    && useradd --uid 10001 --gid backupsite --home-dir /data --no-create-home --shell /usr/sbin/nologin backupsite \
    && install -d -o backupsite -g backupsite -m 0700 /data

COPY --from=build /opt/backupsite/venv /opt/backupsite/venv
WORKDIR /opt/backupsite/app
COPY . .
RUN /opt/backupsite/venv/bin/python -m compileall -q .

ENV PATH=/opt/backupsite/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BACKUPSITE_DATA_DIR=/data \
    BACKUPSITE_HOST=0.0.0.0 \
    BACKUPSITE_PORT=8000 \
    BACKUPSITE_LOG_FORMAT=json
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, sys, http.client as h; c = h.HTTPConnection('127.0.0.1', int(os.environ['BACKUPSITE_PORT']), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status >= 500)"]

# tini reaps what a killed dump leaves and hands signals on; the supervisor stops its children in order.
ENTRYPOINT ["/usr/bin/tini", "--", "python", "manage.py"]
CMD ["serve"]
