# The book in a container, which needs neither Python nor Make on the machine:
#
#     docker build --tag fsrepro .
#     docker run --name fsrepro fsrepro                             # make book
#     docker cp fsrepro:/home/reader/fsrepro/_build/html book_html  # its pages
#
# With --build-arg BROWSER=chromium also for `docker run fsrepro make book check` and `make pdf`.
FROM python:3.11-slim

ARG BROWSER=""
# hadolint ignore=DL3008,SC2086
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make ${BROWSER} \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 reader \
    && install --directory --owner=reader /home/reader/fsrepro

USER 1000
WORKDIR /home/reader/fsrepro

# The packages first: they stay as they are while only the project changes.
COPY --chown=1000 requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir --require-hashes --requirement requirements.lock

COPY --chown=1000 . .
RUN make .venv/.complete

CMD ["make", "book"]
